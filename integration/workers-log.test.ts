/**
 * While all servers are up, no worker says that one is down: not at its start, not in a restart, not when another worker comes to
 * probe the servers for all. Fails when a server that was not asked yet, or by another worker before, is logged as one with a problem.
 */
import type pg from 'pg';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import {
  closeClients,
  connectPg,
  linesOf,
  pidOf,
  startWorkers,
  until,
  useCluster,
  users,
  weirConfig,
  workersOf,
} from './harness/index.ts';
import type { WeirProcess } from './harness/index.ts';

const WORKERS = 3;
let database: string;
let weir: WeirProcess;

beforeAll(async () => {
  database = await useCluster().createDatabase();
});
afterEach(async () => {
  await closeClients();
  await weir.stop();
});
afterAll(() => useCluster().dropDatabase(database));

/** New connections go to the worker with the fewest: so many reach all. */
const everywhere = (): Promise<pg.Client[]> =>
  Promise.all(Array.from({ length: 2 * WORKERS }, () => connectPg(weir.url({ database }))));

/** The death of a worker brings it with it, or a machine that is too busy: it may be true. */
const mayBeTrue = new Set<unknown>(['worker_died', 'cache_members', 'lead_silent', 'lagging']);

const alarms = (): string[] =>
  weir.logs
    .filter(({ level }) => level === 'warn' || level === 'error')
    .filter(({ event, problem }) => !mayBeTrue.has(event) && problem !== 'does not answer probes')
    .map(({ event, msg, message, problem }) => `${String(event)}: ${String(msg ?? message)} ${String(problem ?? '')}`);

test.each([users.monitor, null])('the log has no alarm about servers that are up (auth.user %s)', async (user) => {
  const auth = user === null ? {} : { auth: { user } };
  const config = weirConfig(useCluster(), { database, serverUser: null }, { ...auth });
  weir = await startWorkers(WORKERS, config);
  if (user !== null) expect(alarms()).toEqual([]);
  for (const client of await everywhere()) await client.query('SELECT 1');
  const before = alarms().length;
  for (let leads = 2; leads <= 4; leads++) {
    const number = linesOf(weir, 'lead').at(-1)?.['worker'] as number;
    process.kill(pidOf(weir, number), 'SIGKILL');
    await until('another lead', () => linesOf(weir, 'lead').length >= leads);
    await until('all workers to serve', async () => (await workersOf(weir)).every(({ state }) => state === 'ready'));
    for (const client of await everywhere()) await client.query('SELECT 1');
    await closeClients();
  }
  weir.signal('SIGUSR2');
  await until('the restart', () => weir.output.includes('the supervisor and all workers are replaced'), {
    timeoutMs: 200_000,
  });
  for (const client of await everywhere()) await client.query('SELECT 1');
  expect(alarms().slice(before)).toEqual([]);
});
