/**
 * resize.mode = on in front of a real PostgreSQL: a pool with far more servers than the machine has cores settles on fewer
 * statements at once, seen in SHOW POOLS and on the server; transactions are never held up by it; statements that only wait have no
 * limit; and a reload takes it away.
 */
import type pg from 'pg';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { closeClients, connectPg, startWeir, until, useCluster, users, weirConfig } from './harness/index.ts';
import type { WeirProcess } from './harness/index.ts';

let database: string;
let weir: WeirProcess;
let console: pg.Client;
let isOver = false;
let working: Promise<unknown> = Promise.resolve();

beforeAll(async () => {
  database = await useCluster().createDatabase();
});
afterEach(async () => {
  isOver = true;
  await working;
  await closeClients();
  await weir.stop();
});
afterAll(() => useCluster().dropDatabase(database));

const connect = (): Promise<pg.Client> => connectPg(weir.url({ database }));

/** A pool of forty servers, as many clients, and each asks again as soon as it is answered. */
async function load(mode: string, text: string): Promise<void> {
  const sizes = { default_pool_size: 40, max_pool_size: 40, min_pool_size: 0 };
  const config = { ...sizes, resize: { enabled: false, mode }, log: { level: 'error' } };
  weir = await startWeir(weirConfig(useCluster(), { database, replicas: [] }, config));
  console = await connectPg(weir.adminUrl());
  const clients = await Promise.all(Array.from({ length: 40 }, connect));
  isOver = false;
  working = Promise.all(
    clients.map(async (client) => {
      while (!isOver) await client.query(text);
    }),
  );
}

async function shown(column: string): Promise<string | null | undefined> {
  const { rows } = await console.query<Record<string, string | null>>('SHOW POOLS');
  return rows.find((row) => row['database'] === database)?.[column];
}

const checkouts = async (): Promise<number> => Number(await shown('checkouts'));

/** Statements that may run at once; undefined: no limit. */
async function limit(): Promise<number | undefined> {
  const value = await shown('statements_at_once');
  return value === null || value === undefined ? undefined : Number(value);
}

/** The most that ran at once in some looks at the server. */
async function mostActive(looks: number): Promise<number> {
  let most = 0;
  for (let i = 0; i < looks; i++) {
    const [row] = await useCluster().query<{ n: number }>(
      "SELECT count(*)::int AS n FROM pg_stat_activity WHERE datname = $1 AND usename = $2 AND state = 'active'",
      { values: [database, users.app] },
    );
    most = Math.max(most, row?.n ?? 0);
  }
  return most;
}

const busy = 'SELECT sum(i) FROM generate_series(1, 20000) AS i';

test('on: fewer at once where the cores are busy, and a transaction goes on beside them; off again by a reload', async () => {
  await load('on', busy);
  const few = async (): Promise<number | false> => {
    const now = await limit();
    return now !== undefined && now <= 20 ? now : false;
  };
  // On a busy machine many windows say nothing.
  const found = await until('a limit', few, { timeoutMs: 250_000 });
  expect(found).toBeGreaterThanOrEqual(2);
  const inside = await connect();
  await inside.query('BEGIN');
  // Each of its statements is sent at once: it has its server.
  for (let i = 0; i < 50; i++) await inside.query('SELECT 1');
  await inside.query('COMMIT');
  // The server sees no more of them than may run at a time when a larger number is looked at.
  expect(await mostActive(20)).toBeLessThan(40);
  await console.query("SET resize.mode = 'off'");
  await until('no limit', async () => (await limit()) === undefined);
});

test('on: statements that only wait have no limit', async () => {
  await load('on', 'SELECT pg_sleep(0.02)');
  await until('all to run at once', async () => (await mostActive(5)) > 30);
  const before = await checkouts();
  await until('six thousand more', async () => (await checkouts()) - before > 6_000);
  expect((await limit()) ?? 40).toBeGreaterThan(20);
});

test('observe: limits nothing', async () => {
  await load('observe', busy);
  await until('three thousand statements', async () => (await checkouts()) > 3_000);
  expect(await shown('statements_at_once')).toBeNull();
});
