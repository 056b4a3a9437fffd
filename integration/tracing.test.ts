/**
 * Spans of statements, as a receiver of OTLP over HTTP gets them from a Weir in front of real servers: whose children they are, what
 * they say, and that no statement waits for the receiver. Fails if values are in a span, or if too many or too few are sent.
 */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import {
  closeClients,
  connectPg,
  connectToEach,
  startWeir,
  startWorkers,
  until,
  useCluster,
  weirConfig,
} from './harness/index.ts';
import type { WeirProcess } from './harness/index.ts';

interface Attribute {
  readonly key: string;
  readonly value: Readonly<Record<string, string | number>>;
}

interface Span {
  readonly traceId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly kind: number;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: readonly Attribute[];
  readonly status: { readonly code: number };
}

interface Body {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: readonly Attribute[] };
    readonly scopeSpans: readonly { readonly spans: readonly Span[] }[];
  }[];
}

const client = 3;
const statusError = 2;

class Receiver {
  readonly spans: Span[] = [];
  readonly services = new Set<unknown>();
  asked = 0;
  /** undefined: it does not answer at all. */
  status: number | undefined = 200;
  private server: Server | undefined;
  url = '';

  async start(): Promise<void> {
    const server = createServer((request, response) => {
      let text = '';
      request.setEncoding('utf8').on('data', (part: string) => (text += part));
      request.on('end', () => {
        if (this.status === 200) this.take(JSON.parse(text) as Body);
        this.asked++;
        if (this.status === undefined) return;
        response.writeHead(this.status, { 'content-type': 'application/json' }).end('{}');
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/traces`;
    this.server = server;
  }

  private take({ resourceSpans }: Body): void {
    for (const { resource, scopeSpans } of resourceSpans) {
      this.services.add(valuesOf(resource.attributes)['service.name']);
      this.spans.push(...scopeSpans.flatMap(({ spans }) => spans));
    }
  }

  async stop(): Promise<void> {
    this.server?.closeAllConnections();
    await new Promise((resolve) => this.server?.close(resolve) ?? resolve(undefined));
  }
}

async function droppedOf(of: WeirProcess): Promise<Record<string, number>> {
  const { body } = await of.http();
  const found = body.matchAll(/^weir_trace_spans_dropped_total\{reason="(\w+)"\} (\d+)$/gm);
  return Object.fromEntries(Array.from(found, ([, reason, count]) => [reason, Number(count)]));
}

const valuesOf = (attributes: readonly Attribute[]): Record<string, unknown> =>
  Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]));

const cluster = useCluster();
let database: string;
let receiver: Receiver;
let weir: WeirProcess | undefined;

beforeAll(async () => {
  database = await cluster.createDatabase();
  await cluster.query(
    'CREATE TABLE t (k int PRIMARY KEY, v text); INSERT INTO t SELECT g FROM generate_series(1, 20) g',
    {
      database,
    },
  );
  await cluster.query('GRANT ALL ON t TO PUBLIC', { database });
  await cluster.waitForReplicas();
});
afterEach(async () => {
  await closeClients();
  await weir?.stop();
  weir = undefined;
  await receiver.stop();
});
afterAll(() => cluster.dropDatabase(database));

async function start(tracing: Record<string, unknown> = {}, workers = 1): Promise<WeirProcess> {
  receiver = new Receiver();
  await receiver.start();
  const more = { tracing: { endpoint: receiver.url, ...tracing }, routing: { consistency: 'eventual' } };
  const config = weirConfig(cluster, { database }, more);
  return (weir = workers === 1 ? await startWeir(config) : await startWorkers(workers, config));
}

const traceId = (n: number): string => n.toString(16).padStart(32, 'a');
const parentId = (n: number): string => n.toString(16).padStart(16, 'b');
const comment = (n: number, flags = '01'): string => `/*traceparent='00-${traceId(n)}-${parentId(n)}-${flags}'*/`;
const spansOf = (n: number): Span[] => receiver.spans.filter((span) => span.traceId === traceId(n));

async function spanOf(n: number): Promise<{ span: Span; values: Record<string, unknown> }> {
  await until(`the span of trace ${n}`, () => spansOf(n).length > 0);
  const [span, ...others] = spansOf(n);
  expect(others).toEqual([]);
  return { span: span as Span, values: valuesOf((span as Span).attributes) };
}

test('a statement with a traceparent has a span, the child of that of the client', async () => {
  const of = await start({ sample_rate: 0, service_name: 'shop-db' });
  const pg = await connectPg(of.url({ database }));
  await pg.query(`SELECT v FROM t WHERE v = 'S3cret' OR k = 3 ${comment(1)}`);
  await pg.query(`${comment(2)} UPDATE t SET v = $1 WHERE k = 4`, ['S3cret']);
  await expect(pg.query(`SELECT 1 / (k - 1) FROM t ${comment(3)}`)).rejects.toMatchObject({ code: '22012' });
  await pg.query(`SELECT k FROM t ${comment(4, '00')}`);
  await pg.query('SELECT k FROM t');
  const read = await spanOf(1);
  expect(read.span).toMatchObject({ name: `SELECT ${database}`, kind: client, parentSpanId: parentId(1) });
  expect(read.values).toMatchObject({
    'db.system.name': 'postgresql',
    'db.namespace': database,
    'db.operation.name': 'SELECT',
    'db.query.text': 'SELECT v FROM t WHERE v = ? OR k = ?',
    'db.response.returned_rows': 1,
    'weir.route': 'replica',
    'server.port': expect.any(Number) as number,
  });
  expect(BigInt(read.span.endTimeUnixNano) > BigInt(read.span.startTimeUnixNano)).toBe(true);
  const write = await spanOf(2);
  expect(write.values).toMatchObject({
    'weir.route': 'primary',
    'db.operation.name': 'UPDATE',
    'weir.changed_rows': 1,
  });
  expect(write.values).not.toHaveProperty('db.response.returned_rows');
  const failed = await spanOf(3);
  expect(failed.span.status.code).toBe(statusError);
  expect(failed.values).toMatchObject({ 'db.response.status_code': '22012', 'error.type': '22012' });
  // At its end Weir sends what it still has: so those without a span really have none.
  await weir?.stop();
  expect(receiver.spans).toHaveLength(3);
  expect(JSON.stringify(receiver.spans)).not.toContain('S3cret');
  expect([...receiver.services]).toEqual(['shop-db']);
});

test('those without a traceparent have a span as often as sample_rate says; a reload switches it off and on', async () => {
  const of = await start({ sample_rate: 1 });
  const pg = await connectPg(of.url({ database }));
  for (let i = 0; i < 10; i++) await pg.query('SELECT k FROM t WHERE k = $1', [i]);
  const reads = (): Span[] => receiver.spans.filter(({ name }) => name === `SELECT ${database}`);
  await until('a span of each', () => reads().length === 10);
  expect(new Set(receiver.spans.map((span) => span.traceId)).size).toBe(receiver.spans.length);
  const console = await connectPg(of.adminUrl());
  await console.query('SET tracing.sample_rate = 0');
  for (let i = 0; i < 10; i++) await pg.query('SELECT k FROM t WHERE k = $1', [i]);
  await pg.query(`SELECT 1 ${comment(5)}`);
  await spanOf(5);
  expect(reads()).toHaveLength(11);
  await console.query('RELOAD');
  await pg.query('SELECT k FROM t WHERE k = 7');
  await until('a span after the reload', () => reads().length === 12);
});

test('a receiver that refuses or is gone costs its spans and nothing else', async () => {
  const of = await start({ sample_rate: 1 });
  const pg = await connectPg(of.url({ database }));
  receiver.status = 400;
  await pg.query('SELECT k FROM t');
  const lines = (): Record<string, unknown>[] => of.logs.filter((line) => line['event'] === 'tracing_failed');
  await until('the log to say so', () => lines().length > 0);
  expect(lines()[0]).toMatchObject({ level: 'warn', msg: expect.stringContaining(receiver.url) as string });
  expect((await droppedOf(of))['not_sent']).toBeGreaterThan(0);
  await receiver.stop();
  // More than Weir keeps.
  for (let i = 0; i < 60; i++) await pg.query('SELECT 1;'.repeat(100));
  expect((await pg.query('SELECT count(*)::int AS n FROM t')).rows).toEqual([{ n: 20 }]);
  await until('the metric of those that were not made', async () => (await droppedOf(of))['queue_full'] !== undefined);
  expect(lines()).toHaveLength(1);
});

test('Weir ends although the receiver does not answer', async () => {
  const of = await start({ sample_rate: 1 });
  const pg = await connectPg(of.url({ database }));
  receiver.status = undefined;
  expect((await pg.query('SELECT count(*)::int AS n FROM t')).rows).toEqual([{ n: 20 }]);
  await of.stop();
  expect(receiver.asked).toBeGreaterThan(0);
  expect(of.logs.at(-1)).toMatchObject({ event: 'stopped' });
});

test('each worker sends its own', async () => {
  const of = await start({ sample_rate: 0 }, 2);
  const clients = await connectToEach(() => connectPg(of.url({ database })), 2);
  for (const [i, each] of clients.entries()) await each.query(`SELECT k FROM t ${comment(10 + i)}`);
  for (const i of clients.keys()) expect((await spanOf(10 + i)).span.parentSpanId).toBe(parentId(10 + i));
  receiver.status = 400;
  for (const [i, each] of clients.entries()) await each.query(`SELECT k FROM t ${comment(20 + i)}`);
  await until('the metric of both together', async () => (await droppedOf(of))['not_sent'] === 2);
});
