/**
 * Budgets in front of a real PostgreSQL: slow reads burn theirs and no other, mistakes of statements burn none, a server connection that
 * is lost burns that of errors, a reload changes an objective; for one process, and for two workers together, whichever is asked.
 */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import {
  askConsole,
  closeClients,
  connectPg,
  startWeir,
  startWorkers,
  until,
  useCluster,
  weirConfig,
  workersOf,
} from './harness/index.ts';
import type { WeirConfig, WeirProcess } from './harness/index.ts';

const cluster = useCluster();
let database: string;
let weir: WeirProcess;

beforeAll(async () => {
  database = await cluster.createDatabase();
  await cluster.query('CREATE TABLE held (n int PRIMARY KEY); GRANT ALL ON held TO PUBLIC', { database });
});
afterEach(async () => {
  await closeClients();
  await weir.stop();
  await cluster.query('TRUNCATE held', { database });
});
afterAll(() => cluster.dropDatabase(database));

/** Reads go to the primary, where a lock of ACCESS EXCLUSIVE holds them up. */
const configWith = (budgets: object, more: WeirConfig = {}): WeirConfig =>
  weirConfig(cluster, { database }, { routing: { consistency: 'strict' }, budgets, ...more });

interface Row {
  readonly database: string;
  readonly budget: string;
  readonly objective: string;
  readonly value: string | null;
  readonly burn_5m: number | null;
  readonly burn_1h: number | null;
  readonly state: string;
  readonly why: string;
  readonly actions: string;
}

async function budget(name: string): Promise<Row> {
  const rows = await askConsole<Row & pg.QueryResultRow>(weir, 'SHOW BUDGETS');
  const found = rows.filter((row) => row.database === database && row.budget === name);
  expect(found).toHaveLength(1);
  return found[0] as Row;
}

const untilBudget = (what: string, name: string, is: (row: Row) => boolean): Promise<Row> =>
  until(`${name} ${what}`, async () => {
    const row = await budget(name);
    return is(row) && row;
  });

const observed = (name: string): Promise<Row> =>
  untilBudget('to be observed', name, ({ why }) => why !== 'not observed yet');

/** The value of the only series with these labels; undefined: there is none. */
async function metric(name: string, labels: string): Promise<number | undefined> {
  const { body } = await weir.http();
  const lines = body.split('\n').filter((each) => each.startsWith(`${name}{database="${database}"${labels}`));
  expect(lines.length).toBeLessThanOrEqual(1);
  return lines[0] === undefined ? undefined : Number(lines[0].slice(lines[0].lastIndexOf(' ') + 1));
}

/** Statements of Weir that have waited for a lock for more than 20 ms. */
const waiting = `FROM pg_stat_activity WHERE datname = $1 AND wait_event_type = 'Lock'
  AND clock_timestamp() - query_start > interval '20 ms'`;

async function whileLocked(act: () => Promise<unknown>): Promise<void> {
  const { primary, superuser } = cluster;
  const locker = new pg.Client({ connectionString: cluster.url(primary, { user: superuser, database }) });
  await locker.connect();
  try {
    await locker.query('BEGIN; LOCK TABLE held IN ACCESS EXCLUSIVE MODE');
    await act();
    await locker.query('COMMIT');
  } finally {
    await locker.end();
  }
}

/** A read of each client that takes more than 20 ms. */
async function slowReads(of: readonly pg.Client[], hint = ''): Promise<void> {
  let reads: Promise<unknown> = Promise.resolve();
  await whileLocked(async () => {
    reads = Promise.all(of.map((client) => client.query(`${hint} SELECT count(*) FROM held`)));
    await until('all to wait', async () => {
      const rows = await cluster.query(`SELECT 1 ${waiting}`, { values: [database] });
      return rows.length === of.length;
    });
  });
  await reads;
}

const clients = (count: number): Promise<pg.Client[]> =>
  Promise.all(Array.from({ length: count }, () => connectPg(weir.url({ database }))));

describe.each([1, 2])('with workers: %i', (workers) => {
  const start = async (budgets: object): Promise<void> => {
    const config = configWith(budgets, { workers });
    weir = workers === 1 ? await startWeir(config) : await startWorkers(workers, config);
  };

  test('slow reads burn the budget of reads, and only that', async () => {
    await start({ reads: { p95: '10ms' }, writes: { p50: '10s' }, errors: '1%' });
    const before = await observed('reads_p95');
    expect(before).toMatchObject({ state: 'unknown', burn_5m: null, value: null, objective: 'p95 <= 10ms' });
    expect(before.why).toMatch(/^no reads in the last hour, but observed for \d+ s only$/);
    const all = await clients(4);
    await slowReads(all);
    // One after the other: the clients of each worker.
    for (const [n, client] of all.entries()) await client.query('INSERT INTO held VALUES ($1)', [n]);
    const reads = await untilBudget('to burn', 'reads_p95', ({ why }) => why.includes(' of 4 reads'));
    expect(reads).toMatchObject({ state: 'burning', burn_5m: 20, burn_1h: 20 });
    expect(reads.why).toBe(
      '100% of 4 reads in the last 5 minutes took longer than 10ms, 5% may: 20 times as fast as allowed',
    );
    expect(reads.value).toMatch(/^[\d.]+m?s$/);
    const writes = await untilBudget('to count', 'writes_p50', ({ why }) => why.includes(' of 4 writes'));
    expect(writes).toMatchObject({ state: 'unknown', burn_5m: 0 });
    expect(await budget('errors')).toMatchObject({ state: 'unknown', burn_5m: 0, value: '0%' });
    expect(await metric('weir_budget_burn_rate', ',budget="reads_p95",window="5m"')).toBe(20);
    expect(await metric('weir_budget_burn_rate', ',budget="reads_p95",window="1h"')).toBe(20);
    expect(await metric('weir_budget_burn_rate', ',budget="writes_p50",window="5m"')).toBe(0);
    expect(await metric('weir_budget_objective_seconds', ',budget="reads_p95"')).toBe(0.01);
    expect(await metric('weir_budget_objective_ratio', ',budget="errors"')).toBe(0.01);
  });

  test('mistakes of statements do not burn the budget of errors; a lost connection does', async () => {
    await start({ errors: '1%' });
    await observed('errors');
    const all = await clients(2);
    for (const client of all) {
      await expect(client.query('SELEC 1')).rejects.toMatchObject({ code: '42601' });
      await expect(client.query('SELECT 1 / (SELECT count(*) FROM held)')).rejects.toMatchObject({ code: '22012' });
      await expect(client.query("SET statement_timeout = 'soon'")).rejects.toMatchObject({ code: '22023' });
    }
    const own = await untilBudget('to count', 'errors', ({ why }) => why.includes(' of 6 statements'));
    expect(own).toMatchObject({ burn_5m: 0, value: '0%', state: 'unknown' });
    const [client] = all as [pg.Client];
    await whileLocked(async () => {
      const lost = expect(client.query('INSERT INTO held VALUES (100)')).rejects.toMatchObject({ code: '57P01' });
      await until('it to wait, and be terminated', async () => {
        const rows = await cluster.query(`SELECT pg_terminate_backend(pid) ${waiting}`, { values: [database] });
        return rows.length === 1;
      });
      await lost;
    });
    const burning = await untilBudget('to burn', 'errors', ({ state }) => state === 'burning');
    expect(burning.why).toMatch(
      /^14\.29% of 7 statements in the last 5 minutes could not be served, 1% may: 14\.29 times/,
    );
    expect(await metric('weir_unserved_total', '')).toBe(1);
  });

  test('statements with a tag in their hint burn its budget, those of others do not', async () => {
    const tags = { checkout: { reads: { p95: '10ms' }, errors: '1%' }, 'user:42': { reads: { p95: '10s' } } };
    await start({ reads: { p50: '10s' }, tags });
    await observed('checkout:reads_p95');
    const all = await clients(3);
    await slowReads(all);
    const hint = '/* weir: tags=checkout,user:42 */';
    for (const client of all) await client.query(`${hint} SELECT count(*) FROM held WHERE n > $1`, [0]);
    await untilBudget('to count', 'reads_p50', ({ why }) => why.includes(' of 6 reads'));
    const quick = await untilBudget('to count', 'checkout:reads_p95', ({ why }) => why.includes(' of 3 reads'));
    expect(quick).toMatchObject({ objective: 'p95 <= 10ms' });
    await slowReads(all, hint);
    const slow = await untilBudget('to burn', 'checkout:reads_p95', ({ why }) => why.includes(' of 6 reads'));
    expect(slow.state).toBe('burning');
    // All of these three; on a busy machine perhaps one of those before.
    expect(slow.burn_5m).toBeGreaterThanOrEqual(10);
    expect(await budget('user:42:reads_p95')).toMatchObject({ burn_5m: 0 });
    expect(await budget('checkout:errors')).toMatchObject({ burn_5m: 0, value: '0%' });
    expect(await metric('weir_budget_burn_rate', ',budget="checkout:reads_p95",window="5m"')).toBe(slow.burn_5m);
  });

  test('a reload changes an objective, which begins anew', async () => {
    await start({ reads: { p95: '10ms' } });
    await observed('reads_p95');
    const all = await clients(2);
    await slowReads(all);
    await untilBudget('to burn', 'reads_p95', ({ why }) => why.includes(' of 2 reads'));
    const config = JSON.parse(readFileSync(weir.configFile, 'utf8')) as WeirConfig;
    weir.rewriteConfig({ ...config, budgets: { reads: { p95: '10s' } } });
    await askConsole(weir, 'RELOAD');
    const changed = await budget('reads_p95');
    expect(changed).toMatchObject({ objective: 'p95 <= 10s', state: 'unknown' });
    await observed('reads_p95');
    await slowReads(all);
    const after = await untilBudget('to count', 'reads_p95', ({ why }) => why.includes(' of 2 reads'));
    expect(after).toMatchObject({ objective: 'p95 <= 10s', burn_5m: 0, state: 'unknown' });
    weir.rewriteConfig({ ...config, budgets: { reads: { p95: 0 } } });
    await expect(askConsole(weir, 'RELOAD')).rejects.toThrow(/reads p95 is 0, and no statement takes no time/);
    expect(await budget('reads_p95')).toMatchObject({ objective: 'p95 <= 10s' });
    weir.rewriteConfig({ ...config, budgets: {} });
    await askConsole(weir, 'RELOAD');
    expect(await askConsole(weir, 'SHOW BUDGETS')).toEqual([]);
    expect(await metric('weir_budget_burn_rate', '')).toBeUndefined();
  });
});

test('utilisation and lag are those of the nodes, and unknown where there is nothing', async () => {
  weir = await startWeir(configWith({ pool_utilisation: '90%', replica_lag: '1s' }));
  const [client] = (await clients(1)) as [pg.Client];
  await client.query('SELECT count(*) FROM held');
  const lag = await untilBudget('to be known', 'replica_lag', ({ value }) => value !== null);
  expect(lag).toMatchObject({ objective: '<= 1s', state: 'unknown' });
  const utilisation = await untilBudget('to be known', 'pool_utilisation', ({ value }) => value !== null);
  expect(utilisation).toMatchObject({ burn_5m: 0, state: 'unknown' });
  await weir.stop();
  weir = await startWeir(
    weirConfig(cluster, { database, replicas: [] }, { budgets: { pool_utilisation: '90%', replica_lag: '1h' } }),
  );
  expect((await observed('replica_lag')).why).toBe('no replicas');
  await untilBudget('to be unknown without traffic', 'pool_utilisation', ({ why }) => why.includes('no traffic'));
});

test('when the worker that observes dies, another one goes on', async () => {
  weir = await startWorkers(2, configWith({ reads: { p95: '10ms' } }));
  await observed('reads_p95');
  const [first] = await workersOf(weir);
  process.kill(first?.pid ?? 0, 'SIGKILL');
  await until('another worker to take its place', async () => {
    const rows = await workersOf(weir);
    return rows.length === 2 && rows.every(({ state, pid }) => state === 'ready' && pid !== first?.pid);
  });
  await observed('reads_p95');
  await slowReads(await clients(2));
  const row = await untilBudget('to burn', 'reads_p95', ({ why }) => why.includes(' of 2 reads'));
  expect(row).toMatchObject({ state: 'burning', burn_5m: 20 });
});

describe.each([1, 2])('actions while a budget burns, with workers: %i', (workers) => {
  /** One connection, which grows for nothing else. */
  const pool = { default_pool_size: 1, max_pool_size: 3, min_pool_size: 1, workers, resize: { target_wait: '10m' } };
  const cache = { enabled: true, mode: 'ttl', ttl: '5s' };
  const actions = ['prefer_cache', 'shed_low_priority', 'raise_pool'];

  const start = async (): Promise<void> => {
    const budgets = { reads: { p95: '10ms' }, actions };
    const config = weirConfig(cluster, { database, replicas: [] }, { budgets, ...pool, cache });
    weir = workers === 1 ? await startWeir(config) : await startWorkers(workers, config);
    await observed('reads_p95');
    await slowReads([await connectPg(weir.url({ database }))]);
    const row = await untilBudget('to burn', 'reads_p95', ({ state }) => state === 'burning');
    expect(row.actions).toBe('prefer_cache, shed_low_priority, raise_pool');
    const lines = weir.logs.filter(({ event }) => event === 'budget_action').map(({ msg }) => String(msg));
    for (const action of actions) {
      expect(lines.filter((line) => line.startsWith(action))).toHaveLength(1);
      expect(await metric('weir_budget_action', `,action="${action}"`)).toBe(1);
    }
    expect(lines[0]).toContain(`is in force for ${database}: budget reads_p95 burns: 100% of 1 reads`);
  };

  test('low priority does not wait, and the pool grows', async () => {
    await start();
    const all = await clients(4);
    const low = await connectPg(weir.url({ database }));
    await low.query("SET weir.priority = 'low'");
    let reads: Promise<unknown> = Promise.resolve();
    await whileLocked(async () => {
      reads = Promise.all(all.map((client) => client.query('SELECT count(*) FROM held WHERE n > $1', [1])));
      await until('the pool to have grown, and one to wait', async () => {
        const rows = await askConsole<pg.QueryResultRow>(weir, 'SHOW POOLS');
        const found = rows.find((row) => row['database'] === database);
        return Number(found?.['sv_active']) === 3 && Number(found?.['cl_waiting']) === 1;
      });
      await expect(low.query('SELECT 1 FROM held')).rejects.toMatchObject({
        code: '53400',
        message: expect.stringMatching(/statements of low priority do not wait .*: budget reads_p95 burns/) as string,
      });
    });
    await reads;
    // Nobody is in its way any more.
    expect((await low.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
  });

  test('`eventual` readers get older answers of the cache, and nobody else does', async () => {
    await start();
    const readers = await clients(4);
    const read = async (client: pg.Client, consistency: string): Promise<boolean> => {
      await client.query(`/* weir: consistency=${consistency} */ SELECT n FROM held WHERE n < 5`);
      const { rows } = await client.query<Record<string, string>>('SHOW weir.last_route');
      return String(Object.values(rows[0] ?? {})[0]).startsWith('cache; hit');
    };
    for (const client of readers) await read(client, 'session');
    await sleep(5_100);
    for (const client of readers) expect(await read(client, 'eventual')).toBe(true);
    expect(await read(readers[0] as pg.Client, 'session')).toBe(false);
  });
});
