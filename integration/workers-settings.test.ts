/**
 * Settings of a Weir with several workers: what an operator changes counts for all of them together, at once, also where the supervisor
 * does the counting; what only a new start changes stays through a restart, and is named. Fails when the supervisor goes on with
 * the settings that it was started with, or a new worker shows values that are not in force.
 */
import type pg from 'pg';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import {
  askConsole,
  closeClients,
  connectPg,
  linesOf,
  startWorkers,
  until,
  useCluster,
  users,
  weirConfig,
} from './harness/index.ts';
import type { WeirConfig, WeirProcess } from './harness/index.ts';

const WORKERS = 2;
let database: string;
let weir: WeirProcess;

beforeAll(async () => (database = await useCluster().createDatabase()));
afterEach(async () => {
  await closeClients();
  if (weir.isRunning) await weir.stop();
});
afterAll(() => useCluster().dropDatabase(database));

const configWith = (more: WeirConfig): WeirConfig =>
  weirConfig(useCluster(), { database, serverUser: null, replicas: [] }, { auth: { user: users.monitor }, ...more });

/** How many of 14 clients are let in; one after the other, because log-ins at the same time have a limit of their own. */
async function letIn(): Promise<number> {
  const clients: pg.Client[] = [];
  for (let i = 0; i < 14; i++) {
    const opened = await connectPg(weir.url({ database })).catch((error: unknown) => String(error));
    if (typeof opened !== 'string') clients.push(opened);
    else expect(opened).toContain('no more client connections allowed');
  }
  await Promise.all(clients.map((client) => client.end()));
  await until('the clients to be gone', async () => {
    const rows = await askConsole(weir, 'SHOW LISTS');
    return rows.some(({ list, items }) => list === 'used_clients' && Number(items) === 0);
  });
  return clients.length;
}

async function restarted(count: number): Promise<void> {
  await askConsole(weir, 'RESTART');
  const isOver = (): boolean =>
    linesOf(weir, 'restart').filter(({ msg }) => / are replaced$/.test(String(msg))).length >= count;
  await until('the restart', isOver, { timeoutMs: 200_000 });
}

test('max_client_conn that SET, RELOAD or a restart has changed counts for all workers together', async () => {
  weir = await startWorkers(WORKERS, configWith({ max_client_conn: 10 }));
  expect(await letIn()).toBe(10);
  await askConsole(weir, 'SET max_client_conn = 4');
  expect(await letIn()).toBe(4);
  weir.rewriteConfig(configWith({ max_client_conn: 12, workers: WORKERS }));
  await askConsole(weir, 'RELOAD');
  expect(await letIn()).toBe(12);
  await askConsole(weir, 'SET max_client_conn = 7');
  await restarted(1);
  expect(await letIn()).toBe(7);
});

test('what only a new start changes is as it was after a restart, and RELOAD names it', async () => {
  weir = await startWorkers(WORKERS, configWith({}));
  const shown = async (): Promise<unknown[]> =>
    (await askConsole(weir, 'SHOW CONFIG'))
      .filter(({ key }) => ['listen', 'http', 'workers'].includes(String(key)))
      .map(({ key, value }) => [key, value]);
  const before = await shown();
  expect(before).toHaveLength(3);
  weir.rewriteConfig({ ...configWith({}), workers: WORKERS + 1, listen: '127.0.0.1:1', http: '127.0.0.1:2' });
  await restarted(1);
  expect(await shown()).toEqual(before);
  expect(weir.output).toContain('weir: restart: needs a new start of Weir: listen, http, workers\n');
  expect((await askConsole(weir, 'SHOW RESTARTS'))[0]).toMatchObject({ needs_new_start: 'listen, http, workers' });
  weir.signal('SIGHUP');
  await until('the reload', () =>
    weir.output.includes('weir: reload: needs a new start of Weir: listen, http, workers\n'),
  );
  expect(await askConsole(weir, 'SHOW WORKERS')).toHaveLength(WORKERS);
});

test('a client that a restart has ended because it was pinned all the time is counted', async () => {
  weir = await startWorkers(WORKERS, configWith({ shutdown_timeout: '2s' }));
  const pinned = await connectPg(weir.url({ database }));
  const ended = new Promise<Error & { code?: string }>((resolve) => pinned.once('error', resolve));
  await pinned.query('LISTEN something');
  const plain = await connectPg(weir.url({ database }));
  await restarted(1);
  expect((await ended).code).toBe('57P01');
  expect((await plain.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
  const [row] = await askConsole(weir, 'SHOW RESTARTS');
  expect(row).toMatchObject({ state: 'done', supervisor: 'new' });
  expect(Number(row?.['ended_clients'])).toBe(1);
});
