/**
 * A Weir with little memory is starved by real clients: those that do not read, those with long texts, and a large cache. It must
 * not die; it ends the clients that hold most, serves the others, and recovers by itself.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { Frontend } from '../src/protocol/codes.ts';
import { query, sync } from '../src/protocol/write.ts';
import { parseText } from '../test/fuzz/frames.ts';
import {
  closeClients,
  connectPg,
  RawClient,
  startWeir,
  until,
  useCluster,
  users,
  weirConfig,
} from './harness/index.ts';
import type { WeirConfig, WeirProcess } from './harness/index.ts';

const cluster = useCluster();
let database: string;
const raw: RawClient[] = [];

beforeAll(async () => {
  database = await cluster.createDatabase();
});
afterEach(async () => {
  for (const client of raw.splice(0)) client.end();
  await closeClients();
});
afterAll(() => cluster.dropDatabase(database));

/** An idle process takes about 50 MB. */
async function start(workers: number, more: WeirConfig = {}): Promise<WeirProcess> {
  const memory = workers === 1 ? '112MB' : `${64 + workers * 112}MB`;
  const pool = { default_pool_size: 90, max_pool_size: 90, resize: { enabled: false } };
  const plain = { tls: { server: { mode: 'disable' } }, auth: { type: 'trust' } };
  const config = { workers, memory_limit: memory, client_login_timeout: '5s', ...pool, ...plain, ...more };
  return startWeir(weirConfig(cluster, { database }, config));
}

async function connectRaw(weir: WeirProcess): Promise<RawClient> {
  const client = await RawClient.connect(weir, { user: users.app, database });
  raw.push(client);
  return client;
}

async function connectMany(weir: WeirProcess, count: number): Promise<RawClient[]> {
  const clients: RawClient[] = [];
  // The gate lets them in one after the other, if at all: not more at once than it must.
  for (let i = 0; i < count; i++) clients.push(await connectRaw(weir));
  return clients;
}

async function metric(weir: WeirProcess, name: string): Promise<number> {
  const { body } = await weir.http();
  const line = body.split('\n').find((each) => each.startsWith(`${name} `));
  return Number(line?.slice(name.length + 1) ?? NaN);
}

const shed = (weir: WeirProcess, reason: string): Promise<number> =>
  metric(weir, `weir_memory_shed_clients_total{reason="${reason}"}`);

const isNormal = async (weir: WeirProcess): Promise<boolean> =>
  (await metric(weir, 'weir_memory_state{state="normal"}')) === 1;

const patience = { timeoutMs: 120_000, intervalMs: 100 };

/** Memory is no longer short, and new clients get in. */
async function expectRecovered(weir: WeirProcess): Promise<void> {
  await until('memory to be normal again', () => isNormal(weir), patience);
  const client = await connectPg(weir.url({ database }));
  expect((await client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
  await client.end();
  expect(await metric(weir, 'weir_memory_waiting_clients')).toBe(0);
}

/** A client that asks for little, again and again, while others starve Weir. */
class SmallClient {
  answers = 0;
  private isOver = false;
  private readonly running: Promise<void>;

  private constructor(client: pg.Client) {
    this.running = this.run(client);
    this.running.catch(() => undefined);
  }

  static async start(weir: WeirProcess): Promise<SmallClient> {
    return new SmallClient(await connectPg(weir.url({ database })));
  }

  private async run(client: pg.Client): Promise<void> {
    while (!this.isOver) {
      const { rows } = await client.query<{ n: number }>('SELECT $1::int AS n', [this.answers]);
      expect(rows).toEqual([{ n: this.answers }]);
      this.answers++;
    }
    await client.end();
  }

  /** Throws what went wrong. */
  async stop(): Promise<void> {
    const before = this.answers;
    await until('the small client to be served still', () => this.isOver || this.answers > before);
    this.isOver = true;
    await this.running;
  }
}

const longText = (id: string, bytes = 200_000): string => `select '${id} ${'x'.repeat(bytes)}'`;
const manyRows = query("select repeat('x', 10000) from generate_series(1, 20000)");

function isOpen({ socket }: RawClient): boolean {
  return !socket.destroyed;
}

/** Prepares long texts, each client in turn, until `isDone`: slowly once there is little left, so that Weir can decide in between. */
async function prepareUntil(
  weir: WeirProcess,
  what: string,
  clients: readonly RawClient[],
  isDone: () => Promise<boolean>,
): Promise<void> {
  let next = 0;
  const prepare = async (): Promise<boolean> => {
    const living = clients.filter(isOpen);
    const client = living[next++ % Math.max(1, living.length)];
    if (client !== undefined) {
      const answer = client.next();
      client.socket.write(Buffer.concat([parseText(`s${next}`, longText(`${next}`)), sync]));
      // If it is ended instead, that is what this is about.
      await answer.catch(() => undefined);
    }
    if (await isDone()) return true;
    if ((await metric(weir, 'weir_memory_share')) > 0.85) await sleep(250);
    return false;
  };
  await until(what, prepare, { ...patience, intervalMs: 0 });
}

describe.each([1, 2])('with workers: %i', (workers) => {
  test('clients that do not read are ended, before those in a transaction', async () => {
    const weir = await start(workers);
    const small = await SmallClient.start(weir);
    const inTransaction = await connectMany(weir, 20);
    for (const client of inTransaction) await client.ask('BEGIN');
    const notReading = await connectMany(weir, 80);
    for (const client of notReading) {
      client.socket.pause();
      await client.send(manyRows);
    }
    // Whether a client reads is seen once a second.
    await sleep(3_000);
    await prepareUntil(
      weir,
      'a client that does not read to be ended',
      inTransaction,
      async () => (await shed(weir, 'unread')) > 0,
    );
    // Of those in a transaction only as many as a machine that is too busy to wait makes necessary (test/memory has the order).
    expect(inTransaction.filter(isOpen).length).toBeGreaterThan(inTransaction.length / 2);
    expect(weir.logs.some((line) => line['event'] === 'memory_shed' && line['reason'] === 'unread')).toBe(true);
    for (const client of [...notReading, ...inTransaction]) client.end();
    await expectRecovered(weir);
    await small.stop();
    await weir.stop();
  });

  test('clients with many prepared statements are ended, new clients wait, and then get in', async () => {
    const weir = await start(workers);
    const small = await SmallClient.start(weir);
    const preparing = await connectMany(weir, 40);
    await prepareUntil(
      weir,
      'a client with many statements to be ended',
      preparing,
      async () => (await shed(weir, 'prepared')) > 0,
    );
    expect(preparing.some(({ lastSqlstate }) => lastSqlstate === '53200')).toBe(true);
    const refusals: unknown[] = [];
    let isOver = false;
    const knocking = (async () => {
      while (!isOver)
        await RawClient.connect(weir, { user: users.app, database }).then(
          (client) => raw.push(client),
          (error: unknown) => refusals.push(error),
        );
    })();
    await prepareUntil(weir, 'a new client to wait in vain', preparing, async () => refusals.length > 0);
    isOver = true;
    expect(String(refusals[0])).toContain('53200');
    expect(await metric(weir, 'weir_memory_refused_clients_total')).toBeGreaterThan(0);
    // The console is for everybody who has to do something about it.
    const console = await connectPg(weir.adminUrl());
    const { rows } = await console.query<Record<string, string>>('SHOW MEMORY');
    expect(rows).toHaveLength(workers);
    expect(rows[0]).toMatchObject({ limit_from: expect.stringContaining('memory_limit') as string });
    for (const client of preparing) client.end();
    await knocking;
    await expectRecovered(weir);
    await small.stop();
    await weir.stop();
  });

  test('clients with long texts that never arrive whole are ended', async () => {
    const weir = await start(workers);
    const small = await SmallClient.start(weir);
    const sending = await connectMany(weir, 30);
    const announced = 12_000_000;
    const begin = Buffer.from([Frontend.Parse, 0, 0, 0, 0]);
    begin.writeInt32BE(announced, 1);
    for (const client of sending) client.socket.write(begin);
    const piece = Buffer.alloc(200_000, 'x');
    let next = 0;
    await until(
      'a client with a long text to be ended',
      async () => {
        const living = sending.filter(isOpen);
        living[next++ % Math.max(1, living.length)]?.socket.write(piece);
        return (await shed(weir, 'statement')) > 0;
      },
      { ...patience, intervalMs: 0 },
    );
    await until('it to be told why', () => sending.some(({ lastSqlstate }) => lastSqlstate === '53200'), patience);
    for (const client of sending) client.end();
    await expectRecovered(weir);
    await small.stop();
    await weir.stop();
  });

  // With two, each worker does the same with a cache of its own, and it takes twice as long.
  test.runIf(workers === 1)('a large cache gives way before any client does', async () => {
    const cache = { enabled: true, mode: 'ttl', max_memory: '512MB', max_entry_size: '1MB' };
    // Caches grow while less than 0.65 is in use: without them, Weir and the small client have to take less than that.
    const weir = await start(workers, { cache, memory_limit: '144MB' });
    const small = await SmallClient.start(weir);
    const asking = await Promise.all(Array.from({ length: 4 }, () => connectPg(weir.url({ database }))));
    await asking[0]?.query('CREATE TABLE IF NOT EXISTS wide AS SELECT 1 AS a');
    let asked = 0;
    const ask = (client: pg.Client): Promise<unknown> =>
      client.query(`SELECT repeat('x', 300000) AS much, ${asked++} AS n FROM wide`);
    await until(
      'caches to shrink',
      async () => {
        await Promise.all(asking.map(ask));
        return (await metric(weir, 'weir_memory_cache_share')) < 1;
      },
      { ...patience, intervalMs: 0 },
    );
    expect(await metric(weir, 'weir_cache_evictions_total')).toBeGreaterThan(0);
    for (const reason of ['unread', 'statement', 'prepared']) expect(await shed(weir, reason)).toBe(0);
    await expectRecovered(weir);
    // What was let go is not asked for again, so that the rest of it has to go for the caches to have all of their size.
    const console = await connectPg(weir.adminUrl());
    await console.query('INVALIDATE ALL');
    await until('caches to grow again', async () => (await metric(weir, 'weir_memory_cache_share')) === 1, patience);
    await small.stop();
    await weir.stop();
  });
});
