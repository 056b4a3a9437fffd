/**
 * A pool with more work than it can do, and clients that wait in it: who is refused early, who is served, what they are told, and
 * that nothing of it happens in a pause, in a transaction, or to a pool that has room. The pool's size is seen on the server.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { closeClients, connectPg, startTestWeir, until, useCluster, users, weirConfig } from './harness/index.ts';
import type { TestWeir, WeirConfig } from './harness/index.ts';

let database: string;
let weir: TestWeir;

beforeAll(async () => {
  database = await useCluster().createDatabase();
  await useCluster().query('CREATE TABLE served (name text)', { database });
  await useCluster().query('GRANT ALL ON served TO PUBLIC', { database });
});
afterEach(async () => {
  for (const running of loads.splice(0)) await running.stop();
  await closeClients();
  await weir.stop();
  await useCluster().query('TRUNCATE served', { database });
});
afterAll(() => useCluster().dropDatabase(database));

/** A pool of two servers that does not grow. */
async function start(more: WeirConfig = {}): Promise<void> {
  const base = {
    resize: { enabled: false },
    log: { level: 'error' },
    default_pool_size: 2,
    max_pool_size: 2,
    queue_patience: '1s',
  };
  weir = await startTestWeir(weirConfig(useCluster(), { database, replicas: [] }, { ...base, ...more }));
  console = await connectPg(weir.adminUrl());
}

const connect = (): Promise<pg.Client> => connectPg(weir.url({ database }));

interface Told {
  readonly code: string | undefined;
  readonly message: string;
  readonly hint: string | undefined;
}

/** What a statement ends with. */
async function outcome(client: pg.Client, config: pg.QueryConfig): Promise<Told | 'done'> {
  try {
    await client.query(config);
    return 'done';
  } catch (error) {
    if (!(error instanceof pg.DatabaseError)) throw error;
    return { code: error.code, message: error.message, hint: error.hint };
  }
}

let console: pg.Client;

async function admin(command: string): Promise<Record<string, unknown>[]> {
  return (await console.query<Record<string, unknown>>(command)).rows;
}

/** Of the pool of this test's database. */
async function metric(name: string): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${weir.httpPort}/metrics`)).text();
  const line = text.split('\n').find((each) => each.startsWith(`${name}{`) && each.includes(`database="${database}"`));
  return Number(line?.split(' ').at(-1) ?? NaN);
}

async function pool(): Promise<Record<string, unknown>> {
  const row = (await admin('SHOW POOLS')).find(({ database: name }) => name === database) ?? {};
  // The console's bigints are text in node-postgres.
  return Object.fromEntries(
    Object.entries(row).map(([name, value]) => [name, /^\d+$/.test(String(value)) ? Number(value) : value]),
  );
}

/** Clients that ask again and again until stop(), which resolves to all outcomes. */
class Load {
  private isOver = false;
  private readonly rounds: Promise<(Told | 'done')[]>[];

  constructor(clients: readonly pg.Client[], config: (round: number) => pg.QueryConfig) {
    this.rounds = clients.map(async (client) => {
      const told: (Told | 'done')[] = [];
      for (let round = 0; !this.isOver; round++) told.push(await outcome(client, config(round)));
      return told;
    });
  }

  async stop(): Promise<(Told | 'done')[]> {
    this.isOver = true;
    return (await Promise.all(this.rounds)).flat();
  }
}

const loads: Load[] = [];

function load(clients: readonly pg.Client[], config: (round: number) => pg.QueryConfig): Load {
  const running = new Load(clients, config);
  loads.push(running);
  return running;
}

const slow = 'SELECT pg_sleep(0.3)';

describe('an overload', () => {
  test.each<[string, (round: number) => pg.QueryConfig]>([
    ['simple statements', () => ({ text: slow })],
    ['prepared statements', () => ({ name: 'slow', text: 'SELECT pg_sleep($1::float8)', values: [0.3] })],
  ])('of %s: refused early with 53400, a hint, and the session goes on', async (_, config) => {
    await start();
    const clients = await Promise.all(Array.from({ length: 20 }, connect));
    const running = load(clients, config);
    await until('refusals', async () => Number((await pool()).early_refusals) >= 10);
    expect(await pool()).toMatchObject({ overloaded: 1, limit: 2 });
    expect(await metric('weir_pool_overloaded')).toBe(1);
    const told = await running.stop();
    const refused = told.filter((one) => one !== 'done');
    expect(refused.length).toBeGreaterThanOrEqual(10);
    expect(told.filter((one) => one === 'done').length).toBeGreaterThan(0);
    for (const { code, message, hint } of refused) {
      expect(code).toBe('53400');
      expect(message).toMatch(
        /^waited [1-9]\d{2,4} ms for a server connection of .*: all 2 connections are busy and \d+ clients wait$/,
      );
      expect(hint).toMatch(/^Try again in [1-9]\d+ ms\./);
    }
    expect(await metric('weir_pool_early_refusals_total')).toBe(refused.length);
    // Each of those sessions works on, and the pool is healthy again.
    for (const client of clients) expect((await client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
    await until('the end of the overload', async () => (await pool()).overloaded === 0);
  });

  test('a transaction that has begun never waits and is never refused', async () => {
    await start();
    const inside = await connect();
    await inside.query('BEGIN');
    await inside.query("INSERT INTO served VALUES ('inside')");
    const clients = await Promise.all(Array.from({ length: 20 }, connect));
    const running = load(clients, (round) => ({ text: round % 2 === 0 ? slow : `BEGIN; ${slow}; COMMIT` }));
    await until('refusals', async () => Number((await pool()).early_refusals) >= 10);
    for (let i = 0; i < 20; i++) await inside.query("INSERT INTO served VALUES ('inside')");
    await inside.query('COMMIT');
    await running.stop();
    expect(await useCluster().query('SELECT count(*)::int AS n FROM served', { database })).toEqual([{ n: 21 }]);
  });

  test('a refused BEGIN has begun nothing: what follows it is not run outside of a transaction', async () => {
    await start();
    const clients = await Promise.all(Array.from({ length: 20 }, connect));
    const running = load(clients, () => ({ text: slow }));
    await until('refusals', async () => Number((await pool()).early_refusals) >= 5);
    const writers = await Promise.all(Array.from({ length: 12 }, connect));
    const written = await Promise.all(
      writers.map((writer, i) =>
        outcome(writer, { text: `BEGIN; INSERT INTO served VALUES ('w${i}'); ${slow}; COMMIT` }),
      ),
    );
    await running.stop();
    const rows = await useCluster().query<{ name: string }>('SELECT name FROM served ORDER BY name', { database });
    const done = written.flatMap((told, i) => (told === 'done' ? [`w${i}`] : []));
    expect(rows.map(({ name }) => name)).toEqual(done.sort());
  });

  test('clients of a paused database wait, however many and long', async () => {
    await start();
    await connect();
    const clients = await Promise.all(Array.from({ length: 20 }, connect));
    await admin(`PAUSE ${database}`);
    const all = Promise.all(clients.map((client) => outcome(client, { text: 'SELECT 1' })));
    await until('waiting clients', async () => Number((await pool()).cl_waiting) === 20);
    await sleep(2_500);
    expect(await pool()).toMatchObject({ overloaded: 0, early_refusals: 0, cl_waiting: 20 });
    await admin(`RESUME ${database}`);
    expect(await all).toEqual(Array.from({ length: 20 }, () => 'done'));
  });

  test('of clients that give up needs no setting: who comes last is answered, and those who stay are told', async () => {
    await start({ queue_patience: 0 });
    const patient = await Promise.all(Array.from({ length: 4 }, connect));
    const running = load(patient, () => ({ text: slow }));
    let isOver = false;
    // They come, wait for half a second, and leave.
    const impatient = Array.from({ length: 16 }, async () => {
      while (!isOver) {
        const client = await connect();
        const told = client.query(slow).catch(() => undefined);
        await Promise.race([told, sleep(500)]);
        (client as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy();
      }
    });
    await until('an overload', async () => (await pool()).overloaded === 1);
    await until('a refusal', async () => Number((await pool()).early_refusals) > 0);
    isOver = true;
    await Promise.all(impatient);
    const told = await running.stop();
    expect(told.filter((one) => one !== 'done').map((one) => (one as Told).code)).toContain('53400');
  });

  test('is none while nobody gives up: everybody is answered in turn', async () => {
    await start({ queue_patience: 0 });
    const clients = await Promise.all(Array.from({ length: 20 }, connect));
    const running = load(clients, () => ({ text: slow }));
    // Each waits for three seconds.
    await until('a wait of two seconds', async () => Number((await pool()).maxwait) >= 2);
    expect((await running.stop()).filter((told) => told !== 'done')).toEqual([]);
    expect(await pool()).toMatchObject({ overloaded: 0, early_refusals: 0 });
  });

  test('is none if the pool may grow: nobody is refused', async () => {
    await start({ max_pool_size: 20, resize: { enabled: true } });
    const clients = await Promise.all(Array.from({ length: 20 }, connect));
    const running = load(clients, () => ({ text: slow }));
    await until('a pool of more than ten', async () => Number((await pool()).limit) > 10);
    await sleep(2_000);
    expect((await running.stop()).filter((told) => told !== 'done')).toEqual([]);
    expect(await pool()).toMatchObject({ early_refusals: 0 });
  });

  test('with queue_target = 0 everybody waits in the order of arrival', async () => {
    await start({ queue_target: 0 });
    const clients = await Promise.all(Array.from({ length: 12 }, connect));
    const running = load(clients, () => ({ text: slow }));
    await sleep(4_000);
    expect((await running.stop()).filter((told) => told !== 'done')).toEqual([]);
  });
});

describe('priorities', () => {
  /** The order in which statements of one priority each get the only server, which was busy when they came. */
  async function orderOf(clients: readonly pg.Client[], text: (name: string) => string): Promise<string[]> {
    const holder = await connect();
    await holder.query('BEGIN');
    const waiting = clients.map((client, i) => client.query(text(String(i))));
    await until('all to wait', async () => Number((await pool()).cl_waiting) === clients.length);
    await holder.query('COMMIT');
    await Promise.all(waiting);
    const rows = await useCluster().query<{ name: string }>('SELECT name FROM served ORDER BY ctid', { database });
    return rows.map(({ name }) => name);
  }
  const insert = (name: string): string => `INSERT INTO served VALUES ('${name}')`;

  test('SET weir.priority', async () => {
    await start({ default_pool_size: 1, max_pool_size: 1 });
    const clients = await Promise.all(Array.from({ length: 3 }, connect));
    await clients[0]?.query("SET weir.priority = 'low'");
    await clients[2]?.query("SET weir.priority = 'high'");
    expect((await clients[0]?.query('SHOW weir.priority'))?.rows).toEqual([{ 'weir.priority': 'low' }]);
    expect(await orderOf(clients, insert)).toEqual(['2', '1', '0']);
    await expect(clients[0]?.query("SET weir.priority = 'urgent'")).rejects.toMatchObject({ code: '22023' });
  });

  test('a comment', async () => {
    await start({ default_pool_size: 1, max_pool_size: 1 });
    const clients = await Promise.all(Array.from({ length: 3 }, connect));
    const hints = ['/* weir: priority=low */ ', '', '/* weir: priority=high */ '];
    expect(await orderOf(clients, (name) => (hints[Number(name)] ?? '') + insert(name))).toEqual(['2', '1', '0']);
  });

  test('the configuration, and a reload of it', async () => {
    await start({ default_pool_size: 1, max_pool_size: 1, low_priority_users: [users.app] });
    const client = await connect();
    expect((await client.query('SHOW weir.priority')).rows).toEqual([{ 'weir.priority': 'low' }]);
    await admin('SET low_priority_users = []');
    expect((await client.query('SHOW weir.priority')).rows).toEqual([{ 'weir.priority': 'normal' }]);
  });
});

test('a client that leaves while it waits is forgotten at once: nobody runs its statement', async () => {
  await start({ default_pool_size: 1, max_pool_size: 1 });
  const holder = await connect();
  await holder.query('BEGIN');
  const leaving = await connect();
  const left = leaving.query("INSERT INTO served VALUES ('left')").catch((error: Error) => error.message);
  await until('it to wait', async () => (await pool()).cl_waiting === 1);
  (leaving as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy();
  await until('it to be forgotten', async () => (await pool()).cl_waiting === 0);
  await holder.query('COMMIT');
  await left;
  const next = await connect();
  expect((await next.query('SELECT count(*)::int AS n FROM served')).rows).toEqual([{ n: 0 }]);
});

test('the reserve is opened for clients that have waited, seen on the server, and closed when they are served', async () => {
  await start({ reserve_pool_size: 3, reserve_pool_timeout: '200ms' });
  const backends = async (): Promise<number> => {
    const [row] = await useCluster().query<{ n: number }>(
      `SELECT count(*)::int AS n FROM pg_stat_activity
       WHERE datname = $1 AND usename = $2 AND application_name <> 'weir monitor'`,
      { values: [database, users.app] },
    );
    return row?.n ?? 0;
  };
  const holders = await Promise.all([connect(), connect()]);
  for (const holder of holders) await holder.query('BEGIN; SELECT 1');
  const third = await connect();
  expect(await outcome(third, { text: 'SELECT 1' })).toBe('done');
  expect(await backends()).toBe(3);
  expect(await pool()).toMatchObject({ limit: 3, max: 2 });
  expect(String((await pool()).last_resize)).toMatch(/^2 -> 3 \(reserve\): a client has waited \d+ ms/);
  for (const holder of holders) await holder.query('COMMIT');
  await until('the reserve to be given back', async () => (await pool()).limit === 2 && (await backends()) === 2);
});
