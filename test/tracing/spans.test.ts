/**
 * What becomes of spans while their receiver takes, refuses or never answers them. Fails if more are kept than the bound, if one is
 * lost untold, or if the end waits for a receiver that does not answer.
 */
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { StatementDetails } from '../../src/statements/types.ts';
import { startSpans, type Spans } from '../../src/tracing/spans.ts';

const bound = 2_048;
const details: StatementDetails = {
  ...{ waitMs: 1, serverMs: 2, rows: 3, hasError: false, cache: 'off', node: 'primary' },
  ...{ database: 'shop', user: 'app', applicationName: '', route: 'primary', why: 'a write' },
  ...{ server: undefined, sqlstate: undefined, trace: undefined },
};
const text = { text: 'SELECT ?', verb: 'SELECT' };

let server: Server;
let endpoint: string;
let received: number;
let bodies: string;
let answer: (response: ServerResponse) => void;
let spans: Spans | undefined;
let told: { lost: number; dropped: number };

beforeEach(async () => {
  received = 0;
  bodies = '';
  told = { lost: 0, dropped: 0 };
  answer = (response) => response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
  server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (part: string) => (body += part));
    request.on('end', () => {
      bodies += body;
      received += body.split('"spanId"').length - 1;
      answer(response);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/traces`;
});
afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  await spans?.stop().catch(() => undefined);
  spans = undefined;
});

async function start(sampleRate = 1, random = () => 0.5): Promise<Spans> {
  const events = {
    lost: (count: number) => void (told.lost += count),
    dropped: (count: number) => void (told.dropped += count),
  };
  return (spans = await startSpans({ endpoint, sampleRate, serviceName: 'x' }, { version: '1', random, events }));
}

const traceparent = (flags: string) => ({
  traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-${flags}`,
  tracestate: undefined,
});

test('the flags of a traceparent decide, else the share', async () => {
  const all = await start(0.5, () => 0.4);
  expect([all.wants(undefined), all.wants(traceparent('01')), all.wants(traceparent('00'))]).toEqual([
    true,
    true,
    false,
  ]);
  await all.stop();
  const none = await start(0, () => 0);
  expect([none.wants(undefined), none.wants(traceparent('03')), none.wants(traceparent('02'))]).toEqual([
    ...[false, true, false],
  ]);
});

test('rows are those that were returned, or changed; those of cached answers are not counted', async () => {
  const made = await start();
  made.span(text, { ...details, rows: 4_711 });
  made.span({ text: 'UPDATE a SET b = ?', verb: 'UPDATE' }, { ...details, rows: 4_712 });
  made.span(text, { ...details, route: 'cache', cache: 'hit', rows: 0 });
  await made.stop();
  expect(received).toBe(3);
  const rows = Array.from(bodies.matchAll(/"key":"([\w.]*rows)","value":\{"intValue":(\d+)\}/g), ([, key, value]) => [
    key,
    value,
  ]);
  expect(rows).toEqual([
    ['db.response.returned_rows', '4711'],
    ['weir.changed_rows', '4712'],
  ]);
});

test('what is above the bound is not made, and that is told although the others were sent', async () => {
  const made = await start();
  for (let i = 0; i < bound + 10; i++) made.span(text, details);
  await made.stop();
  expect(received).toBe(bound);
  expect(told).toEqual({ lost: 0, dropped: 10 });
});

test('spans that are refused are told as lost, and there is room again', async () => {
  const made = await start();
  answer = (response) => response.writeHead(400).end();
  for (let i = 0; i < bound; i++) made.span(text, details);
  await vi.waitUntil(() => told.lost === bound, { timeout: 20_000 });
  answer = (response) => response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
  received = 0;
  for (let i = 0; i < bound; i++) made.span(text, details);
  await made.stop();
  expect(received).toBe(bound);
  expect(told).toEqual({ lost: bound, dropped: 0 });
});

test('a receiver that never answers gets no more than the bound, and the end does not wait for it for ever', async () => {
  const made = await start();
  answer = () => undefined;
  for (let i = 0; i < 3 * bound; i++) made.span(text, details);
  await made.stop().catch(() => undefined);
  await vi.waitUntil(() => told.lost === bound, { timeout: 20_000 });
  expect(told).toEqual({ lost: bound, dropped: 2 * bound });
}, 40_000);
