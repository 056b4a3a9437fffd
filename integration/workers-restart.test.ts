/**
 * Workers that are replaced while pgbench runs through them, in its three modes: no statement fails, no connection is lost, there
 * are never more server connections than the pool allows, and all workers are other processes afterwards. WEIR_RESTARTS=20 replaces
 * them more often. Fails if a client notices its move to another worker, or if two workers hold the places of one.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import {
  askConsole,
  closeClients,
  connectPg,
  ConnectionCounter,
  findProgram,
  linesOf,
  pidOf,
  runProgram,
  startWorkers,
  until,
  useCluster,
  users,
  weirConfig,
  workersOf,
} from './harness/index.ts';
import type { WeirProcess } from './harness/index.ts';

const WORKERS = 3;
const POOL = 6;
const CLIENTS = 50;
/** Of all workers, in each mode. */
const RESTARTS = Number(process.env['WEIR_RESTARTS'] ?? 2);
/** For what hangs: a busy machine takes half a minute for a restart. */
const LIMIT_MS = 300_000 + RESTARTS * 60_000;
const pgbench = findProgram('pgbench');
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

/** The monitor has a user of its own, so that what the server counts for "app" are pools only. */
const start = (): Promise<WeirProcess> =>
  startWorkers(
    WORKERS,
    weirConfig(
      useCluster(),
      { database, serverUser: null, replicas: [] },
      {
        auth: { user: users.monitor },
        default_pool_size: POOL,
        max_pool_size: POOL,
        resize: { enabled: false },
        server_idle_timeout: '1s',
        // For what hangs: on a busy machine, 50 log-ins at once take long.
        client_login_timeout: '2m',
        query_wait_timeout: '2m',
        server_connect_timeout: '1m',
      },
    ),
  );

const replaced = (): number => weir.output.split('all workers are replaced').length - 1;

/**
 * Replaces all workers again and again, and has the load run again and again, until both have been done.
 * @returns how often the load has run, and the numbers of all clients that were seen
 */
async function restartDuring(load: () => Promise<void>): Promise<{ loads: number; ids: ReadonlySet<string> }> {
  let isOver = false;
  let loads = 0;
  const ids = new Set<string>();
  const loading = (async (): Promise<void> => {
    do {
      loads++;
      await load();
    } while (replaced() < RESTARTS);
  })().finally(() => (isOver = true));
  loading.catch(() => undefined);
  for (let asked = 1; !isOver; asked++) {
    weir.signal('SIGUSR2');
    await until('all workers to be replaced', () => replaced() === asked, { timeoutMs: 200_000 });
    for (const { id } of await askConsole<{ id: string }>(weir, 'SHOW CLIENTS')) ids.add(id);
  }
  await loading;
  return { loads, ids };
}

test(
  'clients that connect while workers are replaced are let in, served and kept',
  async () => {
    weir = await start();
    let isOver = false;
    const guests = Array.from({ length: 8 }, async () => {
      let visits = 0;
      for (; !isOver; visits++) {
        const client = await connectPg(weir.url({ database }));
        for (let i = 0; i < 3; i++) {
          expect((await client.query<{ i: number }>('SELECT $1::int AS i', [i])).rows).toEqual([{ i }]);
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
        await client.end();
      }
      return visits;
    });
    for (const guest of guests) guest.catch(() => (isOver = true));
    for (let round = 1; round <= RESTARTS && !isOver; round++) {
      weir.signal('SIGUSR2');
      await until('all workers to be replaced', () => replaced() === round, { timeoutMs: 200_000 });
    }
    isOver = true;
    expect(Math.min(...(await Promise.all(guests)))).toBeGreaterThan(10);
    expect(linesOf(weir, 'unexpected_error')).toEqual([]);
  },
  LIMIT_MS,
);

describe.skipIf(pgbench === undefined)(`pgbench -c ${CLIENTS} while workers are replaced`, () => {
  beforeAll(async () => {
    const url = useCluster().url(undefined, { database });
    const { code, stderr } = await runProgram(pgbench!, ['-i', '-q', '-s', '2', url]);
    expect([code, stderr]).toEqual([0, expect.any(String)]);
  });

  test.each(['simple', 'extended', 'prepared'])(
    '-M %s: nothing fails, nobody is disconnected',
    async (mode) => {
      weir = await start();
      const pids = Array.from({ length: WORKERS }, (_, i) => pidOf(weir, i + 1));
      const counter = await ConnectionCounter.start(useCluster(), database, users.app);
      const { loads, ids } = await restartDuring(() => load(mode));
      await counter.stop();
      // Whoever connects again has another number.
      expect(ids.size).toBeGreaterThan(0);
      expect(ids.size).toBeLessThanOrEqual(loads * CLIENTS);
      expect(counter.samples).toBeGreaterThan(100);
      expect(counter.most).toBeGreaterThan(1);
      expect(counter.most).toBeLessThanOrEqual(POOL);
      await nothingIsLeft();
      const now = await workersOf(weir);
      expect(now.map(({ worker, state }) => [worker, state])).toEqual([1, 2, 3].map((n) => [n, 'ready']));
      for (const { pid } of now) expect(pids).not.toContain(pid);
      for (const event of ['restart_cut', 'unexpected_error', 'worker_died']) expect(linesOf(weir, event)).toEqual([]);
      for (const pid of pids) expect(() => process.kill(pid, 0), `worker ${pid} still runs`).toThrow();
    },
    LIMIT_MS,
  );

  async function load(mode: string): Promise<void> {
    const scripts = ['-b', 'tpcb-like@1', '-b', 'select-only@4'];
    // A thread for each client: with -M prepared, pgbench blocks its whole thread until a Parse is answered. If that waits for a
    // server, and all are held by transactions of the same thread, nothing goes on until query_wait_timeout.
    const threads = ['-c', String(CLIENTS), '-j', String(CLIENTS)];
    const args = ['-n', ...threads, '-T', '15', '-M', mode, ...scripts, weir.url({ database })];
    const { code, stdout, stderr } = await runProgram(pgbench!, args);
    // A client that has lost its connection is one that pgbench has "aborted".
    expect(stderr.split('\n').filter((line) => /error|aborted|fatal/i.test(line))).toEqual([]);
    expect([code, stdout]).toEqual([0, expect.stringMatching(/number of failed transactions: 0 /)]);
  }

  async function nothingIsLeft(): Promise<void> {
    await until('no client and no server to be left', async () => {
      const rows = await workersOf(weir);
      return rows.every(({ clients, servers }) => clients === 0 && servers === 0);
    });
    const sql = 'SELECT application_name FROM pg_stat_activity WHERE datname = $1 AND usename = $2';
    expect(await useCluster().query(sql, { values: [database, users.app] })).toEqual([]);
    expect(await askConsole(weir, 'SHOW CLIENTS')).toEqual([]);
  }
});
