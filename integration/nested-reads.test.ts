/**
 * Tables that only the body of a function reads: another session's acknowledged write to one is seen, with replicas that
 * stand still and the old answer in the cache. Walks language x volatility x caller.
 */
import type pg from 'pg';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { kinds, readingSchema, readingsOf } from './corpus/nested-reads.ts';
import type { Kind } from './corpus/nested-reads.ts';
import {
  askConsole,
  closeClients,
  connectPg,
  connectToEach,
  startCluster,
  startWeir,
  until,
  weirConfig,
} from './harness/index.ts';
import type { Cluster, WeirProcess } from './harness/index.ts';

let cluster: Cluster;
let weir: WeirProcess;
let database: string;

beforeAll(async () => {
  cluster = await startCluster({ replicas: 1 });
  database = await cluster.createDatabase();
  await cluster.query(
    `CREATE TABLE hidden (n int); INSERT INTO hidden VALUES (0); CREATE TABLE other (n int); INSERT INTO other VALUES (0);
     GRANT ALL ON hidden, other TO PUBLIC`,
    { database },
  );
  for (const kind of kinds) await cluster.query(readingSchema(kind), { database });
  await cluster.waitForReplicas();
  const more = { routing: { max_replica_lag: '1h' }, cache: { enabled: true, ttl: '1h' } };
  weir = await startWeir(weirConfig(cluster, { database }, more));
}, 120_000);
afterEach(closeClients);
afterAll(async () => {
  await weir.stop();
  await cluster.stop();
});

const connect = (): Promise<pg.Client> => connectPg(weir.url({ database }));
const uncached = (sql: string): string => `/* weir: cache=off */ ${sql}`;

/** "replica1", "cache", "primary". */
async function lastRoute(client: pg.Client): Promise<string> {
  const { rows } = await client.query<Record<string, string>>('SHOW weir.last_route');
  return /^[a-z]+/.exec(rows[0]?.['weir.last_route'] ?? '')?.[0] ?? '';
}

async function routeOf(client: pg.Client, sql: string): Promise<string> {
  await client.query(sql);
  return lastRoute(client);
}

async function replay(what: 'pause' | 'resume'): Promise<void> {
  if (what === 'pause') await cluster.waitForReplicas();
  for (const node of cluster.replicas) {
    await cluster.query(`SELECT pg_wal_replay_${what}()`, { node });
    await until(`replay: ${what}`, async () => {
      const [row] = await cluster.query<{ state: string }>('SELECT pg_get_wal_replay_pause_state() AS state', { node });
      return (row?.state === 'paused') === (what === 'pause');
    });
  }
  if (what === 'resume') await cluster.waitForReplicas();
}

/** Weir knows that the replica has replayed whatever was written last, and the catalog. */
async function settle(client: pg.Client): Promise<void> {
  for (const table of ['hidden', 'other']) {
    const sql = `SELECT n FROM ${table}`;
    await until(`${table} from the replica`, async () => (await routeOf(client, uncached(sql))) === 'replica');
    await until(`${table} from the cache`, async () => (await routeOf(client, sql)) === 'cache');
  }
}

const served = { replica: 0, cache: 0 };
const wrong: string[] = [];

/** One write for all callers of one kind: what they answered before must not be answered behind it. */
async function walk(kind: Kind, writer: pg.Client, direct: pg.Client): Promise<void> {
  const readers = await connectToEach(connect);
  for (const each of readers) await settle(each);
  const reader = readers[0]!;
  const before = new Map<string, readonly [plain: string, kept: string]>();
  for (const { name, sql } of readingsOf(kind)) {
    const plain = await routeOf(reader, uncached(sql));
    await reader.query(sql);
    const kept = await routeOf(reader, sql);
    before.set(name, [plain, kept]);
    if (plain === 'replica') served.replica++;
    if (kept === 'cache') served.cache++;
  }
  // A backend that has planned a call of an IMMUTABLE function keeps what that has returned.
  await askConsole(weir, 'RECONNECT');
  await replay('pause');
  await writer.query('UPDATE hidden SET n = n + 1');
  const after = await connect();
  for (const { name, sql } of readingsOf(kind)) {
    const truth = JSON.stringify((await direct.query(sql)).rows);
    for (const [how, text] of [
      ['uncached', uncached(sql)],
      ['', sql],
    ] as const) {
      const answer = JSON.stringify((await after.query(text)).rows);
      const [was, is] = [before.get(name)?.join(', '), await lastRoute(after)];
      if (answer !== truth) wrong.push(`${name} ${how} (${was}, then ${is}): ${answer} instead of ${truth}`);
    }
  }
  // What nobody has written still comes from elsewhere; but behind what may have written anything, nothing does.
  if (kind.volatility !== 'volatile' && kind.language !== 'dynamic') {
    // Two sessions: who has been shown what another worker has read needs a replica that is as far as that worker's now.
    for (const [sql, where] of [
      ['SELECT n FROM other', 'cache'],
      [uncached('SELECT n FROM other'), 'replica'],
    ] as const) {
      const fresh = await connect();
      expect(await routeOf(fresh, sql)).toBe(where);
      await fresh.end();
    }
  }
  await Promise.all([...readers, after].map((client) => client.end()));
  await replay('resume');
}

test('a write of another session is seen through whatever hides the table', async () => {
  const [writer, direct] = [await connect(), await connectPg(cluster.url(cluster.primary, { database }))];
  for (const kind of kinds) await walk(kind, writer, direct);
  expect(wrong).toEqual([]);
  expect(served.replica).toBeGreaterThan(60);
  expect(served.cache).toBeGreaterThan(20);
}, 240_000);
