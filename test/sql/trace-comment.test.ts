/** The trace of a client is read from a comment at the edge of a text, as sqlcommenter writes it, and from nowhere else. */
import { describe, expect, it } from 'vitest';
import { readTraceComment } from '../../src/sql/trace-comment.ts';

const parent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
const read = (sql: string) => readTraceComment(Buffer.from(sql));

describe('a traceparent', () => {
  it.each([
    `SELECT 1 /*traceparent='${parent}'*/`,
    `SELECT 1 /*action='a%27b',traceparent='${parent}',route='x'*/ ; `,
    `/* traceparent = '${parent}' */ SELECT 1`,
    `/*a='b'*/ SELECT 1 /*traceparent='${parent}'*/`,
    `/*traceparent='${parent}'*/ SELECT 1 /* weir: route=primary */`,
    `/* weir: route=primary */ /*traceparent='${parent}'*/ SELECT 1`,
    `SELECT 1 /*traceparent='${parent}'*/ /* weir: route=primary */ /* x */;`,
  ])('is read: %s', (sql) => {
    expect(read(sql)).toEqual({ traceparent: parent, tracestate: undefined });
  });

  it('of a later version may say more, which is left out', () => {
    const later = parent.replace(/^00/, 'cc');
    expect(read(`SELECT 1 /*traceparent='${later}-what-comes'*/`)?.traceparent).toBe(later);
    expect(read(`SELECT 1 /*traceparent='${later}'*/`)?.traceparent).toBe(later);
    expect(read(`SELECT 1 /*traceparent='${parent}-what-comes'*/`)).toBeUndefined();
    expect(read(`SELECT 1 /*traceparent='${later}x'*/`)).toBeUndefined();
  });

  it('comes with its tracestate, URL-decoded', () => {
    const sql = `SELECT 1 /*traceparent='${parent}',tracestate='congo%3Dt61rcWkgMzE%2Crojo%3D00f067aa0ba902b7'*/`;
    expect(read(sql)?.tracestate).toBe('congo=t61rcWkgMzE,rojo=00f067aa0ba902b7');
  });

  it.each([
    `SELECT '/*traceparent=''${parent}''*/'`,
    `SELECT /*traceparent='${parent}'*/ 1`,
    `SELECT 1 /*xtraceparent='${parent}'*/`,
    `SELECT 1 /*traceparent='00-00000000000000000000000000000000-b7ad6b7169203331-01'*/`,
    `SELECT 1 /*traceparent='00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01'*/`,
    `SELECT 1 /*traceparent='ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'*/`,
    `SELECT 1 /*traceparent='%E0%A4%A'*/`,
    `SELECT 1 /*traceparent='${parent}`,
    `SELECT 1 /*${' '.repeat(5_000)}traceparent='${parent}'*/`,
    `SELECT 1 /*traceparent='${parent}'*/ ${'/**/'.repeat(100)}`,
    `SELECT '/*traceparent=''${parent}''*/' /* weir: route=primary */`,
    'SELECT traceparent',
    '*/ traceparent',
    '/*/traceparent*/',
    '',
  ])('is not read: %s', (sql) => {
    expect(read(sql)).toBeUndefined();
  });
});
