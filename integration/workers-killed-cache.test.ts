/**
 * The shared cache when a worker is killed: a write that another worker acknowledges afterwards, and one that the dead worker had
 * begun and its server commits later, are seen by every `strict` read through every worker. Fails if a cached answer hides
 * them, or if the others stay without the cache.
 */
import type pg from 'pg';
import { afterEach, beforeEach, expect, test } from 'vitest';
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
  workerOf,
} from './harness/index.ts';
import type { WeirProcess } from './harness/index.ts';

const WORKERS = 3;
let database: string;
let weir: WeirProcess;

beforeEach(async () => {
  const cluster = useCluster();
  database = await cluster.createDatabase();
  const sql =
    'SET ROLE app; CREATE TABLE board (id int PRIMARY KEY, n int NOT NULL); INSERT INTO board VALUES (1, 0), (2, 0)';
  await cluster.query(sql, { database });
  await cluster.waitForReplicas();
  const options = { database, serverUser: null };
  const more = { cache: { enabled: true }, auth: { user: users.monitor }, routing: { consistency: 'strict' } };
  weir = await startWorkers(WORKERS, weirConfig(cluster, options, more));
  await until('all workers to be in step', () => linesOf(weir, 'cache_workers').length === WORKERS);
});
afterEach(async () => {
  await closeClients();
  await weir.stop();
  await useCluster().dropDatabase(database);
});

/** One client of each worker that is not left out, in their order. */
async function oneOfEach(without?: number): Promise<pg.Client[]> {
  const numbers = Array.from({ length: WORKERS }, (_, i) => i + 1).filter((number) => number !== without);
  const found = new Map<number, pg.Client>();
  while (!numbers.every((number) => found.has(number))) {
    const client = await connectPg(weir.url({ database }));
    found.set(workerOf(client, WORKERS), client);
  }
  return numbers.map((number) => found.get(number)!);
}

async function seen(client: pg.Client): Promise<number> {
  return (await client.query<{ n: number }>('SELECT n FROM board WHERE id = 1')).rows[0]!.n;
}

async function hits(): Promise<number> {
  return Number(/^weir_cache_hits_total (\d+)/m.exec((await weir.http()).body)?.[1]);
}

async function allSee(clients: readonly pg.Client[], n: number): Promise<void> {
  for (let again = 0; again < 3; again++) expect(await Promise.all(clients.map(seen))).toEqual(clients.map(() => n));
}

async function kill(worker: number): Promise<void> {
  const before = linesOf(weir, 'worker_died').length;
  process.kill(pidOf(weir, worker), 'SIGKILL');
  await until('its death to be noticed', () => linesOf(weir, 'worker_died').length > before);
}

test('what another worker acknowledges after the death is seen through each, and the cache goes on', async () => {
  let n = 0;
  for (const victim of [1, 2, 3]) {
    await allSee(await oneOfEach(), n);
    const ready = linesOf(weir, 'worker_ready').length;
    await kill(victim);
    const living = await oneOfEach(victim);
    for (const client of living) {
      await client.query('UPDATE board SET n = $1 WHERE id = 1', [++n]);
      await allSee(living, n);
    }
    await until('another worker', () => linesOf(weir, 'worker_ready').length > ready);
    const all = await oneOfEach();
    for (const client of all) {
      await allSee(all, n);
      await client.query('UPDATE board SET n = $1 WHERE id = 1', [++n]);
      await allSee(all, n);
    }
    const before = await hits();
    await until('the cache to answer through each', async () => {
      await allSee(all, n);
      return (await hits()) >= before + 2 * WORKERS;
    });
  }
  expect(n).toBeGreaterThanOrEqual(9);
  expect(linesOf(weir, 'unexpected_error')).toEqual([]);
});

test('what the dead worker had begun is seen as soon as the server has committed it', async () => {
  const clients = await oneOfEach();
  await allSee(clients, 0);
  const slow = 'UPDATE board SET n = n + 100 FROM pg_sleep(3) WHERE id = 1';
  const lost = expect(clients[0]!.query(slow)).rejects.toThrow();
  const running = `SELECT pid FROM pg_stat_activity WHERE datname = $1 AND wait_event = 'PgSleep'`;
  const isRunning = async (): Promise<boolean> =>
    (await useCluster().query(running, { values: [database] })).length === 1;
  await until('it to run', isRunning);
  await kill(1);
  await lost;
  const others = clients.slice(1);
  let isCommitted = false;
  while (!isCommitted) {
    isCommitted =
      (await useCluster().query<{ n: number }>('SELECT n FROM board WHERE id = 1', { database }))[0]?.n === 100;
    const values = await Promise.all(others.map(seen));
    for (const value of values) expect(isCommitted ? [100] : [0, 100]).toContain(value);
    // What is not committed may be by the time of the reads; what one has read, the others may not lack.
    if (values.includes(100)) await allSee(others, 100);
  }
  await until('another worker', () => linesOf(weir, 'worker_ready').length === WORKERS + 1);
  await allSee(await oneOfEach(), 100);
  await others[0]!.query('UPDATE board SET n = 5 WHERE id = 1');
  await allSee(await oneOfEach(), 5);
});
