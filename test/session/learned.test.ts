/** What is made of a server's report for each client: fails if it differs from the report, is made anew, or keeps the notices. */
import { expect, test } from 'vitest';
import { noticeResponse, parameterStatus } from '../../src/protocol/write.ts';
import { Learned, statusesOf } from '../../src/session/learned.ts';

const reported = new Map([
  ['DateStyle', 'ISO, MDY'],
  ['TimeZone', 'Asia/Tokyo'],
]);

test('is told as one ParameterStatus each, in the order of the server', () => {
  const told = Buffer.concat([parameterStatus('DateStyle', 'ISO, MDY'), parameterStatus('TimeZone', 'Asia/Tokyo')]);
  expect(statusesOf(reported)).toEqual(told);
  expect(new Learned(reported).statuses).toEqual(told);
});

test('is computed once', () => {
  const learned = new Learned(reported);
  expect([...learned.byLowerName.keys()]).toEqual(['datestyle', 'timezone']);
  expect(learned.byLowerName).toBe(learned.byLowerName);
  expect(learned.statuses).toBe(learned.statuses);
});

test('what is kept has no notices', () => {
  const notice = noticeResponse({ severity: 'NOTICE', sqlstate: '00000', message: 'hello' });
  const kept = new Learned(reported, { notices: [notice] }).withoutNotices();
  expect([kept.notices, kept.reported]).toEqual([[], reported]);
});
