/**
 * A library that a client has LOADed stays in the server's process, whatever is reset. No other client meets it; its own
 * keeps it as long as it is there.
 */
import type pg from 'pg';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { closeClients, connectPg, startTestWeir, useCluster, weirConfig } from './harness/index.ts';
import type { TestWeir } from './harness/index.ts';

const cluster = useCluster();
let database: string;
let weir: TestWeir;

beforeAll(async () => {
  database = await cluster.createDatabase();
});
afterEach(async () => {
  await closeClients();
  await weir.stop();
});
afterAll(() => cluster.dropDatabase(database));

async function start(mode: string): Promise<void> {
  const sizes = { default_pool_size: 1, max_pool_size: 1, resize: { enabled: false }, log: { level: 'error' } };
  // Only a superuser may LOAD what is not in $libdir/plugins.
  const target = { database, serverUser: cluster.superuser, replicas: [] };
  weir = await startTestWeir(weirConfig(cluster, target, { pool_mode: mode, ...sizes }));
}

const connect = (): Promise<pg.Client> => connectPg(weir.url({ database }));

/** A prefix is reserved as soon as its library is there. */
async function isLoaded(client: pg.Client): Promise<boolean> {
  const { rows } = await client.query<{ n: number }>(
    "SELECT count(*)::int AS n FROM pg_settings WHERE name LIKE 'plpgsql.%'",
  );
  return rows[0]?.n !== 0;
}

const ways: readonly (readonly [mode: string, how: string, statements: readonly string[]])[] = [
  ['session', 'LOAD', ["LOAD 'plpgsql'"]],
  ['transaction', 'LOAD', ["LOAD 'plpgsql'"]],
  ['session', 'LOAD and DISCARD ALL', ["LOAD 'plpgsql'", 'DISCARD ALL']],
  ['transaction', 'LOAD and DISCARD ALL', ["LOAD 'plpgsql'", 'DISCARD ALL']],
  ['session', 'LOAD, rolled back', ["BEGIN; LOAD 'plpgsql'", 'ROLLBACK']],
  ['transaction', 'LOAD, rolled back', ["BEGIN; LOAD 'plpgsql'", 'ROLLBACK']],
  ['transaction', 'LOAD in a text that fails', ["LOAD 'plpgsql'; SELECT 1/0"]],
];

test.each(ways)('%s mode: %s', async (mode, _how, statements) => {
  await start(mode);
  const loads = await connect();
  expect(await isLoaded(loads)).toBe(false);
  for (const sql of statements) await loads.query(sql).catch(() => undefined);
  expect(await isLoaded(loads)).toBe(true);
  await loads.end();
  const next = await connect();
  expect(await isLoaded(next)).toBe(false);
});
