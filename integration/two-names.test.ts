/**
 * Two entries of `databases` that name the same database of the same server, as for two pool modes: a write through either,
 * through this Weir or another one, counts for reads through both. Replay is paused behind the write, so that a replica that
 * is asked is wrong.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import {
  closeClients,
  connectPg,
  hasRedis,
  startRedis,
  startWeir,
  until,
  useCluster,
  weirConfig,
  workerOf,
  workersOfTests,
} from './harness/index.ts';
import type { Redis, WeirProcess } from './harness/index.ts';

const cluster = useCluster();
let database: string;
let redis: Redis | undefined;
const weirs: WeirProcess[] = [];

async function start(): Promise<WeirProcess> {
  const cache = redis === undefined ? {} : { cache: { enabled: true, redis: redis.url } };
  // However late a replica is, only what was written may keep it from being asked.
  const config = weirConfig(cluster, { database }, { routing: { max_replica_lag: '1h' }, ...cache });
  const entries = config['databases'] as Record<string, object>;
  const weir = await startWeir({
    ...config,
    databases: { ...entries, other: { ...entries[database] } },
  });
  weirs.push(weir);
  return weir;
}

beforeAll(async () => {
  database = await cluster.createDatabase();
  await cluster.query('SET ROLE app; CREATE TABLE register (n int); INSERT INTO register VALUES (0)', { database });
  await cluster.waitForReplicas();
  if (hasRedis()) redis = await startRedis();
  await start();
  if (redis !== undefined) await start();
});
afterEach(async () => {
  for (const node of cluster.replicas) await cluster.resumeReplay(node);
  await cluster.waitForReplicas();
});
afterAll(async () => {
  await closeClients();
  await Promise.all(weirs.map((weir) => weir.stop()));
  await redis?.stop();
  await cluster.dropDatabase(database);
});

const ask = '/* weir: cache=off */ SELECT n FROM register';
let written = 0;

async function check(from: { weir: number; entry: string }, to: { entry: string }, isReadOnly: boolean): Promise<void> {
  const writer = await connectPg(weirs[from.weir]!.url({ database: from.entry }));
  const reader = await connectPg(weirs[0]!.url({ database: to.entry }));
  const route = async (): Promise<string> =>
    String(Object.values((await reader.query<Record<string, string>>('SHOW weir.last_route')).rows[0]!)[0]);
  const read = async (): Promise<number> => {
    if (isReadOnly) await reader.query('BEGIN READ ONLY');
    const { rows } = await reader.query<{ n: number }>(ask);
    if (isReadOnly) await reader.query('COMMIT');
    return rows[0]!.n;
  };
  await writer.query('SELECT 1');
  await until('a replica to be asked', async () => {
    await read();
    return (await route()).startsWith('replica');
  });
  for (const node of cluster.replicas) await cluster.pauseReplay(node);
  await writer.query(`UPDATE register SET n = ${++written}`);
  // Another Weir hears of it a moment later, and so does another worker.
  const workers = workersOfTests() ?? 1;
  const isElsewhere = from.weir > 0 || workerOf(writer, workers) !== workerOf(reader, workers);
  if (isElsewhere) await until('the write to be heard of', async () => (await read()) === written);
  for (let i = 0; i < 5; i++) expect(await read()).toBe(written);
  await Promise.all([writer.end(), reader.end()]);
}

const names = ['its own name', 'the other'] as const;
const cases = names.flatMap((by) =>
  names.flatMap((asked) => [false, true].map((isReadOnly) => [by, asked, isReadOnly] as const)),
);
const entryOf = (name: (typeof names)[number]): string => (name === 'the other' ? 'other' : database);

describe.each([0, 1])('written through Weir %i', (weir) => {
  test.each(cases)('by %s, read by %s (READ ONLY transaction: %s)', async (by, asked, isReadOnly) => {
    if (weirs[weir] === undefined) return;
    await check({ weir, entry: entryOf(by) }, { entry: entryOf(asked) }, isReadOnly);
  });
});
