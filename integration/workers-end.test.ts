/**
 * The end of a Weir with several workers, however it comes: kill -9 of the supervisor, SIGTERM, SIGTERM while workers are
 * replaced, while a killed one is started again. Fails if a process, a listening port or a server connection is left, or if a
 * drain cuts off a transaction.
 */
import type pg from 'pg';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { processTree } from '../scripts/lib/processes.mjs';
import {
  closeClients,
  connectPg,
  isProcessRunning,
  linesOf,
  pidOf,
  startWorkers,
  until,
  untilNothingIsLeft,
  useCluster,
  users,
  weirConfig,
  workerOf,
  workersOf,
} from './harness/index.ts';
import type { WeirProcess } from './harness/index.ts';

const WORKERS = 3;
let database: string;
let weir: WeirProcess;

beforeAll(async () => {
  database = await useCluster().createDatabase();
  await useCluster().query('SET ROLE app; CREATE TABLE kept (n int)', { database });
});
afterEach(async () => {
  await closeClients();
  if (weir.isRunning) await weir.kill();
});
afterAll(() => useCluster().dropDatabase(database));

async function start(): Promise<void> {
  const auth = { user: users.monitor };
  const options = { database, serverUser: null, replicas: [] };
  weir = await startWorkers(WORKERS, weirConfig(useCluster(), options, { auth }));
}

const connect = (): Promise<pg.Client> => connectPg(weir.url({ database }));
const everywhere = (): Promise<pg.Client[]> => Promise.all(Array.from({ length: 2 * WORKERS }, connect));

const nothingIsLeft = (pids: readonly number[]): Promise<void> =>
  untilNothingIsLeft(weir, pids, useCluster(), database);

test('kill -9 of the supervisor takes the workers with it, busy ones, too', async () => {
  await start();
  const clients = await everywhere();
  const [idle, open, sleeping] = clients as [pg.Client, pg.Client, pg.Client];
  await idle.query('SELECT 1');
  await open.query('BEGIN');
  await open.query('INSERT INTO kept VALUES (-1)');
  const lost = expect(sleeping.query('SELECT pg_sleep(60)')).rejects.toThrow();
  const pids = processTree(weir.pid);
  expect(pids).toHaveLength(WORKERS + 1);
  process.kill(weir.pid, 'SIGKILL');
  await lost;
  await expect(open.query('COMMIT')).rejects.toThrow();
  await nothingIsLeft(pids);
  expect(await useCluster().query('SELECT n FROM kept', { database })).toEqual([]);
});

test('kill -9 of the supervisor ends a worker, too, that has only just been started', async () => {
  await start();
  weir.signal('SIGUSR2');
  await until('a new worker', () => linesOf(weir, 'worker_started').length > WORKERS);
  const pids = processTree(weir.pid);
  process.kill(weir.pid, 'SIGKILL');
  // The new worker, and the supervisor that has started it.
  expect(pids).toHaveLength(WORKERS + 3);
  await nothingIsLeft(pids);
});

test('SIGTERM lets every worker finish what it has begun, and leaves nothing', async () => {
  await start();
  const clients = await everywhere();
  const pids = processTree(weir.pid);
  for (const client of clients) await client.query('BEGIN');
  weir.signal('SIGTERM');
  await until('it to drain', () => weir.output.includes('draining'));
  await expect(connect()).rejects.toThrow();
  for (const [i, client] of clients.entries()) {
    await client.query('INSERT INTO kept VALUES ($1)', [i]);
    await client.query('COMMIT');
  }
  expect(await weir.exited).toEqual({ code: 0, signal: null });
  await nothingIsLeft(pids);
  const rows = await useCluster().query<{ n: number }>('SELECT n FROM kept ORDER BY n', { database });
  expect(rows.map(({ n }) => n)).toEqual(clients.map((_, i) => i));
  expect(linesOf(weir, 'unexpected_error')).toEqual([]);
});

test('SIGTERM while workers are replaced: the one that is about to serve ends, and no other is started', async () => {
  await start();
  const [holder] = (await everywhere()) as [pg.Client];
  await holder.query('BEGIN');
  weir.signal('SIGUSR2');
  await until('a new worker', () => linesOf(weir, 'worker_started').length > WORKERS);
  const pids = processTree(weir.pid);
  const fresh = linesOf(weir, 'worker_started').at(-1)!['pid'] as number;
  weir.signal('SIGTERM');
  await until('the new one to be gone', () => !isProcessRunning(fresh));
  await holder.query('COMMIT');
  expect(await weir.exited).toEqual({ code: 0, signal: null });
  await nothingIsLeft(pids);
  expect(linesOf(weir, 'worker_started')).toHaveLength(WORKERS + 1);
  for (const event of ['unexpected_error', 'worker_killed']) expect(linesOf(weir, event)).toEqual([]);
});

test('a worker that is being started again when all are replaced does not stay behind', async () => {
  await start();
  const pids = processTree(weir.pid);
  // The second death in a row is followed by a pause: the restart comes before its end.
  for (let i = 1; i <= 2; i++) {
    process.kill(pidOf(weir, 1), 'SIGKILL');
    await until('its death', () => linesOf(weir, 'worker_died').length === i);
    if (i === 1) await until('another', () => linesOf(weir, 'worker_ready').length === WORKERS + 1);
  }
  weir.signal('SIGUSR2');
  await until('all workers to be replaced', () => weir.output.includes('all workers are replaced'));
  await until('the old ones to be gone', () => pids.slice(1).every((pid) => !isProcessRunning(pid)));
  // The first process stays, and the new supervisor is another one.
  await until('one process for each place', () => processTree(weir.pid).length === WORKERS + 2);
  expect((await workersOf(weir)).map(({ worker, state }) => [worker, state])).toEqual(
    [1, 2, 3].map((n) => [n, 'ready']),
  );
  const clients = await everywhere();
  expect(new Set(clients.map((client) => workerOf(client, WORKERS)))).toEqual(new Set([1, 2, 3]));
  await closeClients();
  const all = processTree(weir.pid);
  await weir.stop();
  await nothingIsLeft(all);
});
