/**
 * 200 clients that connect at once are spread over four workers, and every one is served. Fails if one worker gets more than 1.3
 * times the mean, if a client gets no answer, if the figures of the workers are not those of their clients, or if a worker that
 * stands still holds up more than a few.
 */
import type pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  askConsole,
  closeClients,
  connectPg,
  pidOf,
  startWorkers,
  until,
  useCluster,
  users,
  weirConfig,
  workerOf,
  workersOf,
} from './harness/index.ts';
import type { WeirProcess } from './harness/index.ts';

const WORKERS = 4;
const CLIENTS = 200;
const atMost = (1.3 * CLIENTS) / WORKERS;
let database: string;
let weir: WeirProcess;

beforeAll(async () => {
  database = await useCluster().createDatabase();
  const sizes = { default_pool_size: 5, max_pool_size: 5, max_client_conn: CLIENTS };
  const config = weirConfig(useCluster(), { database, serverUser: null }, { ...sizes, auth: { user: users.monitor } });
  weir = await startWorkers(WORKERS, config);
});
afterAll(async () => {
  await closeClients();
  await weir.stop();
  await useCluster().dropDatabase(database);
});

const connect = (): Promise<pg.Client> => connectPg(weir.url({ database }));
const everyone = (): Promise<pg.Client[]> => Promise.all(Array.from({ length: CLIENTS }, connect));

async function served(clients: readonly pg.Client[]): Promise<void> {
  const answers = await Promise.all(
    clients.map(async (client, i) => (await client.query<{ i: number }>('SELECT $1::int AS i', [i])).rows[0]?.i),
  );
  expect(answers).toEqual(clients.map((_, i) => i));
}

test('no worker has more than 1.3 times the mean, everybody is served, and max_client_conn counts for all', async () => {
  const clients = await everyone();
  await served(clients);
  const rows = await workersOf(weir);
  expect(rows).toHaveLength(WORKERS);
  expect(rows.reduce((sum, row) => sum + row.clients, 0)).toBe(CLIENTS);
  for (const { worker, clients: count } of rows) {
    expect(count, `worker ${worker}`).toBeLessThanOrEqual(atMost);
    expect(count).toBe(clients.filter((client) => workerOf(client, WORKERS) === worker).length);
  }
  expect(await askConsole(weir, 'SHOW CLIENTS')).toHaveLength(CLIENTS);
  await expect(connect()).rejects.toMatchObject({ code: '53300' });
});

test('those who come when a worker has lost its clients go to that one', async () => {
  const before = await workersOf(weir);
  expect(before.reduce((sum, row) => sum + row.clients, 0)).toBe(CLIENTS);
  await closeClients();
  const clients = await until('the places to be free', everyone);
  const lonely = clients.filter((client) => workerOf(client, WORKERS) === 2);
  await Promise.all(lonely.map((client) => client.end()));
  await until(
    'them to have left',
    async () => (await workersOf(weir)).find(({ worker }) => worker === 2)?.clients === 0,
  );
  const again = await Promise.all(lonely.map(connect));
  expect(again.filter((client) => workerOf(client, WORKERS) === 2).length).toBeGreaterThan(again.length / 2);
  await served([...clients.filter((client) => !lonely.includes(client)), ...again]);
});

test('a worker that stands still holds up only the few connections that are on their way to it', async () => {
  await closeClients();
  await until('everyone to have left', async () => (await workersOf(weir)).every(({ clients }) => clients === 0));
  // Not the one that probes the servers for all.
  const stopped = pidOf(weir, 3);
  process.kill(stopped, 'SIGSTOP');
  let connected = 0;
  const all = Promise.all(Array.from({ length: 100 }, () => connect().then(() => connected++)));
  all.catch(() => undefined);
  try {
    await until('nearly all to be let in', () => connected >= 100 - 8);
  } finally {
    process.kill(stopped, 'SIGCONT');
  }
  await all;
});
