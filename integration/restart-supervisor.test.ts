/**
 * A restart replaces the supervisor, too, and nobody notices: not the clients, not whoever connects at that moment, not the cache,
 * not the process that has started Weir. Fails if a statement, a connection or a place for a server connection is lost, if a
 * supervisor that is killed at any moment leaves something behind, or if the Weir that it left does not go on.
 */
import { existsSync, mkdtempSync, readFileSync } from 'node:fs';
import { connect as connectTcp } from 'node:net';
import { join } from 'node:path';
import type pg from 'pg';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { sslRequest } from '../src/protocol/write.ts';
import { allProcesses, processTree } from '../scripts/lib/processes.mjs';
import { currentRun } from './harness/run-dir.ts';
import {
  askConsole,
  closeClients,
  ConnectionCounter,
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
import type { WeirConfig, WeirProcess } from './harness/index.ts';

const WORKERS = 2;
const POOL = 4;
const RESTARTS = Number(process.env['WEIR_RESTARTS'] ?? 3);
let database: string;
let weir: WeirProcess;

beforeEach(async () => {
  database = await useCluster().createDatabase();
});
afterEach(async () => {
  await closeClients();
  if (weir.isRunning) await weir.stop();
  await useCluster().dropDatabase(database);
});

async function start(more: WeirConfig = {}): Promise<void> {
  const fixed = { auth: { user: users.monitor }, default_pool_size: POOL, max_pool_size: POOL };
  const config = weirConfig(useCluster(), { database, serverUser: null, replicas: [] }, { ...fixed, ...more });
  weir = await startWorkers(WORKERS, config);
}

const times = (words: string): number => weir.output.split(words).length - 1;

/** @param times as many restarts have succeeded then */
async function restarted(count: number): Promise<void> {
  await until('the restart', () => times('the supervisor and all workers are replaced') === count, {
    timeoutMs: 200_000,
  });
}

/** Supervisors that the process has started which was started as `weir serve`. */
function successors(): number[] {
  return allProcesses()
    .filter(({ ppid, command }) => ppid === weir.pid && command.includes(' successor '))
    .map(({ pid }) => pid);
}

const nothingIsLeft = (pids: readonly number[]): Promise<void> =>
  untilNothingIsLeft(weir, pids, useCluster(), database);

/** Connects and leaves. Resolves when SSLRequest was answered, which needs no log-in; rejects if it was not. */
function connectAndAsk(): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connectTcp(weir.port, '127.0.0.1', () => socket.write(sslRequest));
    socket.once('data', () => {
      resolve();
      socket.destroy();
    });
    socket.once('error', reject);
    socket.once('close', () => reject(new Error('closed without an answer')));
  });
}

/** Connects again as soon as it was answered. Resolves to how often that was, or rejects at the first refusal. */
async function knock(isOver: () => boolean): Promise<number> {
  let count = 0;
  for (; !isOver(); count++) await connectAndAsk();
  return count;
}

async function work(client: pg.Client, isOver: () => boolean): Promise<number> {
  let done = 0;
  for (; !isOver(); done++) {
    expect((await client.query<{ n: number }>('SELECT $1::int AS n', [done])).rows).toEqual([{ n: done }]);
    if (done % 5 === 0) {
      await client.query('BEGIN');
      await client.query("SELECT set_config('app.none', 'x', true)");
      await client.query('COMMIT');
    }
  }
  return done;
}

test('clients work through several restarts; every supervisor is another process, the first one stays', async () => {
  await start();
  const counter = await ConnectionCounter.start(useCluster(), database, users.app);
  let isOver = false;
  const over = (): boolean => isOver;
  const clients = await Promise.all(Array.from({ length: 8 }, () => connectPg(weir.url({ database }))));
  const lost: unknown[] = [];
  for (const client of clients) client.on('error', (error) => lost.push(error));
  const working = Promise.all([...clients.map((client) => work(client, over)), knock(over)]);
  working.catch(() => (isOver = true));
  const supervisors = new Set<number>();
  for (let count = 1; count <= RESTARTS && !isOver; count++) {
    weir.signal('SIGUSR2');
    await restarted(count);
    await until('one supervisor', () => successors().length === 1);
    supervisors.add(successors()[0]!);
    expect(processTree(weir.pid)).toHaveLength(2 + WORKERS);
  }
  isOver = true;
  const done = await working;
  expect(supervisors.size).toBe(RESTARTS);
  expect(Math.min(...done)).toBeGreaterThan(10);
  await counter.stop();
  expect(counter.most).toBeLessThanOrEqual(POOL);
  expect(lost).toEqual([]);
  const rows = await askConsole<Record<string, string>>(weir, 'SHOW RESTARTS');
  expect(rows.map(({ state, supervisor, replaced }) => [state, supervisor, replaced])).toEqual(
    Array.from({ length: RESTARTS }, () => ['done', 'new', String(WORKERS)]),
  );
  for (const event of ['unexpected_error', 'worker_died', 'restart_failed', 'accept_failed'])
    expect(linesOf(weir, event)).toEqual([]);
  const pids = processTree(weir.pid);
  for (const client of clients) await client.end();
  weir.signal('SIGTERM');
  expect(await weir.exited).toEqual({ code: 0, signal: null });
  await nothingIsLeft(pids);
});

test('what signals do goes to the new supervisor: reload, drain with a transaction, a second one stops', async () => {
  await start({ default_pool_size: POOL });
  weir.signal('SIGUSR2');
  await restarted(1);
  weir.signal('SIGHUP');
  await until('the reload', () => weir.output.includes('weir: reload: '));
  const [open, cut] = [await connectPg(weir.url({ database })), await connectPg(weir.url({ database }))];
  await open.query('BEGIN');
  await cut.query('BEGIN');
  const pids = processTree(weir.pid);
  weir.signal('SIGTERM');
  await until('it to drain', () => weir.output.includes('draining'));
  await open.query('COMMIT');
  expect(weir.isRunning).toBe(true);
  weir.signal('SIGTERM');
  expect(await weir.exited).toEqual({ code: 1, signal: null });
  await nothingIsLeft(pids);
});

test('the Unix socket stays, with a lock of a process that runs, and is removed at the end', async () => {
  const dir = mkdtempSync(join(currentRun().dir, 'sock-'));
  await start({ unix_socket_dir: dir });
  const file = join(dir, `.s.PGSQL.${weir.port}`);
  for (let count = 1; count <= 2; count++) {
    weir.signal('SIGUSR2');
    await restarted(count);
    expect(existsSync(file)).toBe(true);
    await until('one supervisor', () => successors().length === 1);
    expect(Number(readFileSync(`${file}.lock`, 'utf8'))).toBe(successors()[0]);
    await new Promise<void>((resolve, reject) => {
      const socket = connectTcp({ path: file }, () => {
        socket.destroy();
        resolve();
      });
      socket.once('error', reject);
    });
  }
  await weir.stop();
  expect([existsSync(file), existsSync(`${file}.lock`)]).toEqual([false, false]);
});

test('what operators have set holds for a worker that the new supervisor starts', async () => {
  await start();
  await askConsole(weir, `DISABLE ${database}`);
  weir.signal('SIGUSR2');
  await restarted(1);
  const ready = linesOf(weir, 'worker_ready').length;
  process.kill(pidOf(weir, 1), 'SIGKILL');
  await until('another one', () => linesOf(weir, 'worker_ready').length > ready);
  expect(
    (await workersOf(weir)).map(({ worker, state, restarts, deaths }) => [worker, state, restarts, deaths]),
  ).toEqual([
    [1, 'ready', 1, 1],
    [2, 'ready', 1, 0],
  ]);
  for (let i = 0; i < 2 * WORKERS; i++) await expect(connectPg(weir.url({ database }))).rejects.toThrow('disabled');
  await askConsole(weir, `ENABLE ${database}`);
  await (await connectPg(weir.url({ database }))).query('SELECT 1');
});

test('the caches of the workers stay in step, and go on', async () => {
  const sql = 'SET ROLE app; CREATE TABLE board (id int PRIMARY KEY, n int NOT NULL); INSERT INTO board VALUES (1, 0)';
  await useCluster().query(sql, { database });
  await start({ cache: { enabled: true }, routing: { consistency: 'strict' } });
  await until('all workers to be in step', () => linesOf(weir, 'cache_workers').length >= WORKERS);
  const found = new Map<number, pg.Client>();
  while (found.size < WORKERS) {
    const client = await connectPg(weir.url({ database }));
    found.set(workerOf(client, WORKERS), client);
  }
  const clients = [...found.values()];
  const [writer, reader] = clients as [pg.Client, pg.Client];
  const seen = async (client: pg.Client): Promise<number> =>
    (await client.query<{ n: number }>('SELECT n FROM board WHERE id = 1')).rows[0]!.n;
  const hits = async (): Promise<number> => Number(/^weir_cache_hits_total (\d+)/m.exec((await weir.http()).body)?.[1]);
  let n = 0;
  let isOver = false;
  const writing = (async (): Promise<void> => {
    while (!isOver) {
      await writer.query('UPDATE board SET n = $1 WHERE id = 1', [++n]);
      for (let again = 0; again < 3; again++) expect([await seen(reader), await seen(writer)]).toEqual([n, n]);
    }
  })();
  writing.catch(() => (isOver = true));
  for (let count = 1; count <= 2 && !isOver; count++) {
    weir.signal('SIGUSR2');
    await restarted(count);
  }
  isOver = true;
  await writing;
  expect(n).toBeGreaterThan(5);
  const before = await hits();
  await until('the cache to answer', async () => {
    await Promise.all(clients.map(seen));
    return (await hits()) >= before + 10;
  });
  expect(linesOf(weir, 'unexpected_error')).toEqual([]);
});

test('kill -9 of the new supervisor before it works: the old one goes on, and the next restart succeeds', async () => {
  await start({ shutdown_timeout: '60s' });
  const [first, second] = [await connectPg(weir.url({ database })), await connectPg(weir.url({ database }))];
  for (const client of [first, second]) client.on('error', () => undefined);
  await first.query('BEGIN');
  await second.query('BEGIN');
  weir.signal('SIGUSR2');
  await until('a new worker to serve', () => linesOf(weir, 'worker_ready').length > WORKERS);
  const before = processTree(weir.pid);
  process.kill(successors()[0]!, 'SIGKILL');
  await until('the death of its worker to be noticed', () => linesOf(weir, 'worker_died').length > 0);
  await first.query('COMMIT');
  await second.query('COMMIT');
  await until('the restart to be over', () => weir.output.includes('but not the supervisor'), { timeoutMs: 200_000 });
  const [row] = await askConsole<Record<string, string>>(weir, 'SHOW RESTARTS');
  expect(row).toMatchObject({ state: 'failed', supervisor: 'old', replaced: String(WORKERS) });
  expect(row?.['problem']).toContain('the new supervisor has ended');
  await until('all workers to serve', async () => (await workersOf(weir)).every(({ state }) => state === 'ready'));
  weir.signal('SIGUSR2');
  await restarted(1);
  expect(successors()).toHaveLength(1);
  await (await connectPg(weir.url({ database }))).query('SELECT 1');
  await until('the old processes to be gone', () => before.slice(1).every((pid) => !isProcessRunning(pid)));
  expect(processTree(weir.pid)).toHaveLength(2 + WORKERS);
  expect(linesOf(weir, 'unexpected_error')).toEqual([]);
});

test('kill -9 of the new supervisor when it works: Weir ends, and leaves nothing', async () => {
  await start();
  weir.signal('SIGUSR2');
  await restarted(1);
  await connectPg(weir.url({ database })).then((client) => client.on('error', () => undefined));
  const pids = processTree(weir.pid);
  process.kill(successors()[0]!, 'SIGKILL');
  expect(await weir.exited).toEqual({ code: 1, signal: null });
  await nothingIsLeft(pids);
  expect(
    linesOf(weir, 'supervisor_gone')
      .map(({ level, worker }) => [level, worker])
      .sort(),
  ).toEqual(Array.from({ length: WORKERS }, (_, i) => ['error', i + 1]));
});

test('kill -9 of the first process: its supervisor and all workers end, also in mid-restart', async () => {
  for (const isInRestart of [false, true]) {
    await start();
    weir.signal('SIGUSR2');
    await restarted(1);
    const client = await connectPg(weir.url({ database }));
    client.on('error', () => undefined);
    await client.query('BEGIN');
    if (isInRestart) {
      const ready = linesOf(weir, 'worker_ready').length;
      weir.signal('SIGUSR2');
      await until('a new worker', () => linesOf(weir, 'worker_ready').length > ready);
      expect(successors()).toHaveLength(2);
    }
    const pids = processTree(weir.pid);
    process.kill(weir.pid, 'SIGKILL');
    await weir.exited;
    await nothingIsLeft(pids);
  }
});

test('a configuration that is refused changes nothing, before and after the first restart', async () => {
  await start();
  const good = readFileSync(weir.configFile, 'utf8');
  for (let count = 1; count <= 2; count++) {
    const before = processTree(weir.pid);
    weir.rewriteConfig({ ...(JSON.parse(good) as Record<string, unknown>), default_pool_size: 'many' });
    weir.signal('SIGUSR2');
    await until('the refusal', () => linesOf(weir, 'restart_failed').length === count);
    expect(linesOf(weir, 'restart_failed').at(-1)?.['msg'] ?? linesOf(weir, 'restart_failed').at(-1)).toMatch(
      /no worker is replaced, the old ones go on: 3 times in a row, the new supervisor has ended \(exit code 1\): .*default_pool_size/,
    );
    expect(processTree(weir.pid)).toEqual(before);
    weir.rewriteConfig(good);
    weir.signal('SIGUSR2');
    await restarted(count);
  }
});
