/**
 * Two workers resize their pools as one Weir: the limit is that of both together, counted on the server (pg_stat_activity)
 * and never exceeded; a change is logged and counted once; RESIZE POOL wins; when the worker that decides is killed, the other
 * goes on from the same limit. Fails when a worker resizes for itself, or a pool jumps.
 */
import type pg from 'pg';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { closeClients, connectPg, startWeir, until, useCluster, users, weirConfig } from './harness/index.ts';
import type { WeirConfig, WeirProcess } from './harness/index.ts';

let database: string;
let weir: WeirProcess | undefined;

beforeAll(async () => {
  database = await useCluster().createDatabase();
});
afterEach(async () => {
  await closeClients();
  await weir?.stop();
  weir = undefined;
});
afterAll(() => useCluster().dropDatabase(database));

async function start(more: WeirConfig): Promise<WeirProcess> {
  const options = { database, serverUser: users.app, replicas: [] };
  weir = await startWeir(weirConfig(useCluster(), options, { workers: 2, ...more }));
  return weir;
}

async function openOnServer(): Promise<number> {
  const [row] = await useCluster().query<{ n: number }>(
    `SELECT count(*)::int AS n FROM pg_stat_activity
     WHERE datname = $1 AND usename = $2 AND application_name <> 'weir monitor'`,
    { values: [database, users.app] },
  );
  return row?.n ?? 0;
}

type Row = Record<string, string | null>;

async function pool(console: pg.Client): Promise<Row> {
  const { rows } = await console.query<Row>('SHOW POOLS');
  return rows.find((row) => row['database'] === database) ?? {};
}

const limit = async (console: pg.Client): Promise<number> => Number((await pool(console))['limit']);

/** Clients that ask again as soon as they are answered; one whose worker has died ends. */
async function startLoad(at: WeirProcess, clients: number, holdMs: number) {
  const load = { isOver: false, answers: 0, failures: 0 };
  const one = async (client: pg.Client): Promise<void> => {
    while (!load.isOver) {
      await client.query('SELECT pg_sleep($1)', [holdMs / 1000]);
      load.answers++;
    }
  };
  const connected = await Promise.all(Array.from({ length: clients }, () => connectPg(at.url({ database }))));
  const all = Promise.all(connected.map((client) => one(client).catch(() => load.failures++)));
  return {
    load,
    async stop(): Promise<void> {
      load.isOver = true;
      await all;
    },
  };
}

/** Looks at the server all the time. */
function watchServer() {
  const seen = { most: 0, isOver: false };
  const watch = async (): Promise<void> => {
    while (!seen.isOver) seen.most = Math.max(seen.most, await openOnServer());
  };
  const all = watch();
  return async (): Promise<number> => {
    seen.isOver = true;
    await all;
    return seen.most;
  };
}

const lines = (event: string): Record<string, unknown>[] =>
  (weir?.logs ?? []).filter((line) => line['event'] === event);

/** Of weir_pool_resizes_total, the sum over all reasons. */
async function resizesCounted(at: WeirProcess): Promise<number> {
  const { body } = await at.http();
  let sum = 0;
  for (const [, value] of body.matchAll(/^weir_pool_resizes_total\{.*\} (\d+)$/gm)) sum += Number(value);
  return sum;
}

test('under load the pool of both grows to max_pool_size and no further, and shrinks when the surplus has lasted', async () => {
  const at = await start({
    default_pool_size: 3,
    max_pool_size: 12,
    resize: { target_wait: '10ms', shrink_after: '2s' },
  });
  const console = await connectPg(at.adminUrl());
  const most = watchServer();
  const { load, stop } = await startLoad(at, 40, 30);
  await until('the pool to grow', async () => (await limit(console)) === 12);
  expect((await pool(console))['last_resize']).toMatch(
    /^\d+ -> 12 \(pressure\): clients waited \d+ ms \(target 10 ms\); .*node primary can spare \d+$/,
  );
  await until('its servers to be open', async () => (await openOnServer()) === 12);
  const before = load.answers;
  await until('more answers', () => load.answers > before + 300);
  expect(await limit(console)).toBe(12);
  await stop();
  expect(load.failures).toBe(0);

  await until('the pool to shrink', async () => (await limit(console)) === 3);
  expect((await pool(console))['last_resize']).toContain('4 -> 3 (surplus): at most');
  await until('its servers to be closed', async () => (await openOnServer()) <= 3);
  expect(await most()).toBe(12);

  const { body } = await at.http();
  expect(body).toMatch(/^weir_pool_resizes_total\{direction="up",reason="pressure"\} [1-9]/m);
  expect(body).toMatch(/^weir_pool_resizes_total\{direction="down",reason="surplus"\} 9$/m);
  await until('the log', async () => lines('pool_resize').length === (await resizesCounted(at)));
  // Each change begins where the one before ended: none is there twice.
  let size = 3;
  for (const { from, to } of lines('pool_resize')) {
    expect(from).toBe(size);
    size = to as number;
  }
  expect(size).toBe(3);
  expect(lines('unexpected_error')).toEqual([]);
});

test('RESIZE POOL wins, counts once, and the pool stays within its bounds', async () => {
  const at = await start({ default_pool_size: 4, max_pool_size: 50 });
  const console = await connectPg(at.adminUrl());
  const { load, stop } = await startLoad(at, 40, 20);
  await until('the pool to grow', async () => (await limit(console)) > 8);
  await console.query(`RESIZE POOL ${database} MAX 7`);
  expect(await limit(console)).toBe(7);
  await until('no more than 7 servers', async () => (await openOnServer()) <= 7);
  const before = load.answers;
  const most = watchServer();
  await until('pressure', () => load.answers > before + 500);
  expect(await most()).toBeLessThanOrEqual(7);
  expect(await pool(console)).toMatchObject({ limit: '7', max: '7' });
  const { body } = await at.http();
  expect(body).toMatch(/^weir_pool_resizes_total\{direction="down",reason="operator"\} 1$/m);
  expect(lines('pool_resize').filter(({ reason }) => reason === 'operator')).toHaveLength(1);
  await console.query(`RESIZE POOL ${database} MAX 10`);
  await until('the pool to grow again', async () => (await limit(console)) === 10);
  await stop();
  expect(load.failures).toBe(0);
});

test('when the worker that decides is killed, the other goes on from the same limit', async () => {
  const at = await start({ default_pool_size: 3, max_pool_size: 12, resize: { shrink_after: '1h' } });
  const first = await startLoad(at, 30, 30);
  await until('the pool to grow', () => lines('pool_resize').at(-1)?.['to'] === 12);
  const resizes = lines('pool_resize').length;
  const lead = lines('lead').at(-1)?.['worker'];
  const most = watchServer();
  process.kill(lines('worker_started').findLast(({ worker }) => worker === lead)?.['pid'] as number, 'SIGKILL');
  await until('another lead', () => lines('lead').length === 2);
  await until('both workers', () => lines('worker_ready').length === 3);
  const second = await startLoad(at, 30, 30);
  await until('both to serve', () => second.load.answers > 500);
  const console = await connectPg(at.adminUrl());
  expect(await limit(console)).toBe(12);
  expect(lines('pool_resize').slice(resizes)).toEqual([]);
  expect(await most()).toBeLessThanOrEqual(12);
  // It decides, too.
  await console.query(`RESIZE POOL ${database} MAX 16`);
  await until('the pool to grow', async () => (await limit(console)) === 16);
  expect((await pool(console))['last_resize']).toContain('(pressure)');
  await first.stop();
  await second.stop();
  expect(second.load.failures).toBe(0);
  expect(lines('unexpected_error')).toEqual([]);
});
