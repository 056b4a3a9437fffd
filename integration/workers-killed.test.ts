/**
 * kill -9 of a worker while all are at work: its clients lose their connection, those of the others notice nothing, the server
 * never has more connections than allowed, and the supervisor starts another, later each time. Fails if a death reaches
 * anybody else, if places are given away before the dead worker's backends have ended, or are never given again.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import {
  closeClients,
  connectPg,
  ConnectionCounter,
  linesOf,
  pidOf,
  startWorkers,
  until,
  useCluster,
  users,
  weirConfig,
  workerOf,
  workersOf,
} from './harness/index.ts';
import type { WeirConfig, WeirProcess } from './harness/index.ts';

const WORKERS = 3;
const POOL = 6;
const KILLS = Number(process.env['WEIR_KILLS'] ?? 4);
let database: string;
let weir: WeirProcess;

beforeAll(async () => {
  database = await useCluster().createDatabase();
  await useCluster().query('SET ROLE app; CREATE TABLE counted (who int, n int)', { database });
});
afterEach(async () => {
  await closeClients();
  await weir.stop();
});
afterAll(() => useCluster().dropDatabase(database));

async function start(more: WeirConfig = {}): Promise<void> {
  const sizes = { default_pool_size: POOL, max_pool_size: POOL, resize: { enabled: false } };
  const config = { auth: { user: users.monitor }, ...sizes, ...more };
  weir = await startWorkers(WORKERS, weirConfig(useCluster(), { database, serverUser: null, replicas: [] }, config));
}

const connect = (): Promise<pg.Client> => connectPg(weir.url({ database }));
const ready = (): number => linesOf(weir, 'worker_ready').length;
const died = (): Record<string, unknown>[] => linesOf(weir, 'worker_died');

async function kill(worker: number): Promise<void> {
  const before = died().length;
  process.kill(pidOf(weir, worker), 'SIGKILL');
  await until('its death to be noticed', () => died().length > before);
}

interface Clerk {
  readonly client: pg.Client;
  readonly worker: number;
  done: number;
  error: Error | undefined;
  readonly end: Promise<void>;
}

/** A client that reads and writes until it is told to stop, or has lost its connection. */
async function hire(who: number, isOver: () => boolean): Promise<Clerk> {
  const client = await connect();
  const work = async (): Promise<void> => {
    while (!isOver()) {
      await client.query('BEGIN');
      await client.query('INSERT INTO counted VALUES ($1, $2)', [who, clerk.done]);
      await client.query('COMMIT');
      const { rows } = await client.query<{ n: number }>('SELECT max(n) AS n FROM counted WHERE who = $1', [who]);
      expect(rows[0]?.n).toBe(clerk.done);
      clerk.done++;
    }
  };
  const clerk: Clerk = {
    client,
    worker: workerOf(client, WORKERS),
    done: 0,
    error: undefined,
    end: Promise.resolve().then(() => work().catch((error: unknown) => void (clerk.error = error as Error))),
  };
  return clerk;
}

test('only its own clients notice, the limit holds throughout, and the next worker serves', async () => {
  await start({ max_db_connections: POOL });
  const counter = await ConnectionCounter.start(useCluster(), database, users.app);
  let isOver = false;
  let hired = 0;
  const hireSome = (count: number): Promise<Clerk[]> =>
    Promise.all(Array.from({ length: count }, () => hire(hired++, () => isOver)));
  let clerks = await hireSome(18);
  for (let kills = 1; kills <= KILLS; kills++) {
    const victim = (kills % WORKERS) + 1;
    const hit = clerks.filter(({ worker }) => worker === victim);
    const others = clerks.filter(({ worker }) => worker !== victim);
    expect(hit.length).toBeGreaterThan(0);
    await kill(victim);
    await Promise.all(hit.map(({ end }) => end));
    for (const { error } of hit) expect(String(error)).toMatch(/terminated|ECONNRESET|EPIPE|57P01|shutting down/i);
    const before = others.map(({ done }) => done);
    await until('the others to go on', () => others.every(({ done }, i) => done > before[i]! + 3));
    for (const { error } of others) expect(error).toBeUndefined();
    await until('another worker', () => ready() === WORKERS + kills);
    clerks = [...others, ...(await hireSome(hit.length))];
    expect(clerks.filter(({ worker }) => worker === victim).length).toBeGreaterThan(0);
    await until('all to work', () => clerks.every(({ done, error }) => done > 0 || error !== undefined));
  }
  isOver = true;
  await Promise.all(clerks.map(({ end }) => end));
  for (const { error } of clerks) expect(error).toBeUndefined();
  await counter.stop();
  expect(counter.samples).toBeGreaterThan(KILLS * 10);
  expect(counter.most).toBeGreaterThan(1);
  expect(counter.most).toBeLessThanOrEqual(POOL);
  expect(linesOf(weir, 'unexpected_error')).toEqual([]);
});

test('connections that wait for a worker which dies are given to another one', async () => {
  await start();
  const pid = pidOf(weir, 1);
  process.kill(pid, 'SIGSTOP');
  let served = 0;
  const clients = Promise.allSettled(
    Array.from({ length: 8 * WORKERS }, async () => {
      const client = await connect();
      served++;
      return client;
    }),
  );
  // The rest waits for the one that stands still.
  await until('others to be served', () => served >= WORKERS);
  await kill(1);
  const settled = await clients;
  // One may have been on its way.
  expect(settled.filter(({ status }) => status === 'rejected').length).toBeLessThanOrEqual(1);
  for (const each of settled)
    if (each.status === 'fulfilled') expect((await each.value.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
  expect(linesOf(weir, 'unexpected_error')).toEqual([]);
});

test('a worker that hangs gets no new clients, and is killed and replaced when it hangs for long', async () => {
  await start();
  process.kill(pidOf(weir, 2), 'SIGSTOP');
  const clients: Promise<pg.Client>[] = [];
  const isServedSoon = async (): Promise<boolean> => {
    const client = connect();
    client.catch(() => undefined);
    clients.push(client);
    return Promise.race([client.then(() => true), sleep(1_000, false)]);
  };
  // Some come before the supervisor knows, and wait.
  for (let inARow = 0; inARow < 4 * WORKERS;) inARow = (await isServedSoon()) ? inARow + 1 : 0;
  expect(died()).toEqual([]);
  await until('its death', () => died().length === 1);
  expect(died()[0]).toMatchObject({ worker: 2, msg: expect.stringContaining('has not answered for 30 s') as string });
  await until('another worker', () => ready() === WORKERS + 1);
  const settled = await Promise.allSettled(clients);
  // One may have been on its way.
  expect(settled.filter(({ status }) => status === 'rejected').length).toBeLessThanOrEqual(1);
  for (const each of settled)
    if (each.status === 'fulfilled') expect((await each.value.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
  expect(linesOf(weir, 'unexpected_error')).toEqual([]);
});

test('each death is counted, and the next start comes later', async () => {
  await start();
  for (let kills = 1; kills <= 3; kills++) {
    await kill(2);
    await until('another worker', () => ready() === WORKERS + kills);
  }
  expect(died().map(({ worker }) => worker)).toEqual([2, 2, 2]);
  const next = died().map(({ msg }) => String(msg).replace(/^.*: /, ''));
  expect(next[0]).toBe('it is started again');
  for (const words of next.slice(1)) expect(words).toMatch(/^it is started again in \d+ ms$/);
  const { body } = await weir.http();
  expect(body).toMatch(/^weir_worker_deaths_total\{worker="2"\} 3$/m);
  expect(body).toMatch(/^weir_worker_restarts_total\{worker="2"\} 0$/m);
  expect((await workersOf(weir)).map(({ worker, deaths }) => [worker, deaths])).toEqual([
    [1, 0],
    [2, 3],
    [3, 0],
  ]);
});

test('its statements run to their end, then their places are given to others', async () => {
  await start({ default_pool_size: 2, max_pool_size: 2, max_db_connections: 2 });
  const counter = await ConnectionCounter.start(useCluster(), database, users.app);
  const clients = await Promise.all(Array.from({ length: 3 * WORKERS }, connect));
  const [one, two] = clients.filter((client) => workerOf(client, WORKERS) === 1) as [pg.Client, pg.Client];
  const lost = [one, two].map((client) => expect(client.query('SELECT pg_sleep(4)')).rejects.toThrow());
  const asleep = `SELECT pid FROM pg_stat_activity WHERE datname = $1 AND wait_event = 'PgSleep'`;
  const sleepers = (): Promise<unknown[]> => useCluster().query(asleep, { values: [database] });
  await until('both to run', async () => (await sleepers()).length === 2);
  const waiting = clients.filter((client) => workerOf(client, WORKERS) !== 1);
  const answers = Promise.all(waiting.map((client) => client.query('SELECT 1 AS one')));
  await kill(1);
  await Promise.all(lost);
  for (const { rows } of await answers) expect(rows).toEqual([{ one: 1 }]);
  await until('the statements to have ended', async () => (await sleepers()).length === 0);
  await counter.stop();
  expect(counter.most).toBe(2);
});
