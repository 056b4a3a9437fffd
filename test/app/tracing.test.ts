/** What the log says of spans that no collector gets: sums, at once, once a minute and at the end; and never a key in the endpoint. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { Tracing } from '../../src/app/tracing.ts';
import type { StatementDetails, StatementTracer } from '../../src/statements/types.ts';

const details: StatementDetails = {
  ...{ waitMs: 1, serverMs: 2, rows: 3, hasError: false, cache: 'off', node: 'primary' },
  ...{ database: 'shop', user: 'app', applicationName: '', route: 'primary', why: 'a write' },
  ...{ server: undefined, sqlstate: undefined, trace: undefined },
};

let server: Server;
let lines: { event: string; message: string; spans: unknown }[];
let counted: number;
let tracer: StatementTracer | undefined;
let tracing: Tracing;

beforeEach(async () => {
  server = createServer((request, response) => {
    request.resume().on('end', () => response.writeHead(400).end());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  lines = [];
  counted = 0;
  tracing = new Tracing({
    version: '1',
    log: (_level, event, message, fields) => void lines.push({ event, message, spans: fields?.['spans'] }),
    use: (made) => (tracer = made),
    count: (_reason, spans) => void (counted += spans),
  });
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/traces?key=S3cret`;
  await tracing.apply({ endpoint, sampleRate: 1, serviceName: 'x' });
});
afterEach(async () => {
  await tracing.stop();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

const make = (count: number): void => {
  for (let i = 0; i < count; i++) tracer?.span({ text: 'SELECT ?', verb: 'SELECT' }, details);
};

it('says what was lost: the first at once, all others at the end', async () => {
  make(2_048 + 7);
  await vi.waitUntil(() => counted === 2_055, { timeout: 20_000 });
  const lost = (): number[] => lines.flatMap(({ event, spans }) => (event === 'tracing_failed' ? [Number(spans)] : []));
  expect(lost()).toEqual([512]);
  await tracing.stop();
  expect(lost()).toEqual([512, 2_048 - 512]);
  expect(lines.filter(({ event }) => event === 'tracing_dropped').map(({ spans }) => spans)).toEqual([7]);
  expect(lines.map(({ message }) => message).join()).toMatch(/\/v1\/traces\?\*\*\*/);
  expect(lines.map(({ message }) => message).join()).not.toContain('S3cret');
});
