/**
 * The first statement of a READ ONLY transaction looks like a read, and the replica refuses or cancels it all the same: the
 * transaction runs on the primary from its BEGIN on, and nobody notices. Behind an answer of the replica it stays there.
 */
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { expectedOf } from './differential/compare.ts';
import { bind, closePortal, execute, extended, parse, query, sync } from './differential/messages.ts';
import { play } from './differential/play.ts';
import { a, b, script, type Step } from './differential/script.ts';
import {
  closeClients,
  connectPg,
  fillOtherWorkers,
  lastRoute,
  PASSWORD,
  startCluster,
  startTestWeir,
  until,
  users,
  weirConfig,
} from './harness/index.ts';
import type { Cluster, TestWeir } from './harness/index.ts';
import { untilReplicaTakesAll } from './read-only/on-replica.ts';

let cluster: Cluster;
let weir: TestWeir;
let probe: pg.Client;

/** All of them are in routing.read_only_functions, and none of them keeps to it. */
const fixtures = `
  CREATE TABLE ro_items AS SELECT i AS id FROM generate_series(1, 100) i;
  CREATE UNLOGGED TABLE ro_unlogged AS SELECT 1 AS i;
  CREATE TABLE ro_parts (i int) PARTITION BY RANGE (i);
  CREATE UNLOGGED TABLE ro_part PARTITION OF ro_parts FOR VALUES FROM (0) TO (100);
  CREATE FUNCTION ro_says(sql text) RETURNS text LANGUAGE plpgsql AS
    $$ DECLARE found text; BEGIN EXECUTE sql INTO found; RETURN found; END $$;`;

beforeAll(async () => {
  const settings = { max_standby_streaming_delay: '0', hot_standby_feedback: 'off' };
  cluster = await startCluster({ replicas: 1, settings });
  await cluster.query(`GRANT CREATE ON SCHEMA public TO ${users.app}; SET ROLE ${users.app}; ${fixtures}`);
  await cluster.waitForReplicas();
  weir = await startTestWeir(
    weirConfig(
      cluster,
      {},
      { auth: { type: 'trust' }, log: { level: 'error' }, routing: { read_only_functions: ['ro_says'] } },
    ),
  );
  // What a replica has replayed is known in one worker before it is in another.
  await fillOtherWorkers(weir);
  probe = new pg.Client({ connectionString: weir.url() });
  await probe.connect();
});
afterEach(closeClients);
afterAll(async () => {
  await probe.end();
  await weir.stop();
  await cluster.stop();
});

async function compare(name: string, steps: readonly Step[]): Promise<void> {
  const played = script(name, steps);
  const who = { host: '127.0.0.1', user: users.app, password: PASSWORD, database: 'postgres' };
  const direct = await play(played, { ...who, port: cluster.primary.port });
  await untilReplicaTakesAll(probe);
  const through = await play(played, { ...who, port: weir.port });
  expect(direct.filter((line) => line.startsWith('   ReadyForQuery')).length).toBeGreaterThanOrEqual(steps.length);
  expect(through, name).toEqual(expectedOf(direct, through));
}

const begin = 'BEGIN READ ONLY';
const ways: Readonly<Record<string, (sql: string) => Step[]>> = {
  'outside of a transaction': (sql) => [a(sql), a(...extended(sql), sync)],
  simple: (sql) => [a(begin), a(sql), a('SELECT 1'), a('COMMIT'), a('SELECT 2')],
  extended: (sql) => [a(begin), a(...extended(sql), sync), a(...extended('SELECT 1'), sync), a('COMMIT')],
  'a pipeline': (sql) => [
    a(query(begin), query(sql), query('SELECT 1'), query('COMMIT'), query('SELECT 2')),
    a('SELECT 3'),
  ],
  'a pipeline with more settings': (sql) => [
    a(query(begin), query(sql), query("SET LOCAL work_mem = '1MB'"), query('SHOW work_mem'), query('COMMIT')),
    a('SHOW work_mem'),
  ],
  'a pipeline of batches': (sql) => [
    a(...extended(begin), sync, ...extended(sql), sync, ...extended('SELECT 1'), sync, ...extended('COMMIT'), sync),
    a('SELECT 2'),
  ],
  'a pipeline with a Close in it': (sql) => [
    a(
      query(begin),
      query(sql),
      parse('', 'SELECT 1'),
      bind('p', ''),
      execute('p'),
      closePortal('p'),
      sync,
      query('COMMIT'),
    ),
  ],
  'a pipeline with COMMIT AND CHAIN': (sql) => [
    a(query(begin), query(sql), query('COMMIT AND CHAIN'), query('SELECT 1'), query('COMMIT')),
  ],
  // As drivers send them to see whether anybody is there.
  'behind texts without a statement': (sql) => [
    a(begin),
    a(''),
    a(...extended('-- nothing'), sync),
    a(sql),
    a('COMMIT'),
  ],
  'COMMIT AND CHAIN behind it': (sql) => [a(begin), a(sql), a('COMMIT AND CHAIN'), a('SELECT 1'), a('COMMIT')],
};

const refused: Readonly<Record<string, string>> = {
  'an unlogged table (0A000)': "SELECT ro_says('SELECT count(*) FROM ro_unlogged')",
  'an unlogged partition (0A000)': 'SELECT count(*) FROM ro_parts',
  'the WAL position (55000)': "SELECT ro_says('SELECT pg_current_wal_lsn() IS NOT NULL')",
  'a lock (55000)': "SELECT ro_says('LOCK TABLE ro_items IN SHARE MODE')",
  'a temporary table (25006)': "SELECT ro_says('CREATE TEMP TABLE ro_t ON COMMIT DROP AS SELECT 1 AS i')",
  'a write, which the primary refuses as well (25006)': "SELECT ro_says('INSERT INTO ro_items VALUES (0)')",
  'an error of the primary, too (42P01)': "SELECT ro_says('SELECT 1 FROM ro_nothing')",
};

describe.each(Object.entries(refused))('%s', (what, sql) => {
  test.each(Object.entries(ways).filter(([way]) => !(way.startsWith('outside') && /temporary|write|lock/.test(what))))(
    '%s',
    // Another text each time: Weir learns from a refusal.
    (way, steps) => compare(way, steps(`${sql} AS "${way}"`)),
  );
});

test.each([
  ['Query', query("COMMIT; SET work_mem = '77MB'")],
  ['batch', ...extended('COMMIT'), ...extended("SET work_mem = '77MB'"), sync],
])('what is pipelined behind its end in one %s leaves nothing on the replica', async (how, ...messages) => {
  const sql = `SELECT ro_says('SELECT count(*) FROM ro_unlogged') AS "${how}"`;
  await compare(how, [
    a(query(begin), query(sql), ...messages),
    ...Array.from({ length: 5 }, () => b("SELECT current_setting('work_mem')")),
  ]);
  expect(await lastRoute(probe)).toMatch(/^replica1/);
});

test('a second statement hears of it, and so does one behind what has been answered', async () => {
  await untilReplicaTakesAll(probe);
  const client = await connectPg(weir.url());
  await client.query(begin);
  await client.query('SELECT count(*) FROM ro_items');
  expect(await lastRoute(client)).toMatch(/^replica1/);
  await expect(client.query("SELECT ro_says('SELECT pg_current_wal_lsn()')")).rejects.toMatchObject({ code: '55000' });
  await client.query('ROLLBACK');
});

describe('a conflict with recovery', () => {
  async function untilRunning(marker: string): Promise<void> {
    const sql = `SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid() AND query LIKE '%' || $1 || '%'`;
    const node = cluster.replicas[0];
    if (node === undefined) throw new Error('no replica');
    await until('the read to run on the replica', async () => {
      return (await cluster.query(sql, { node, values: [marker] })).length > 0;
    });
  }

  test.each([
    ['simple', undefined],
    ['extended', [1]],
  ])('%s: all of the transaction runs on the primary', async (how, values) => {
    const table = `conflict_${how}`;
    await cluster.query(`CREATE TABLE ${table} AS SELECT generate_series(1, 100) AS n; GRANT ALL ON ${table} TO app`);
    await cluster.waitForReplicas();
    const client = await connectPg(weir.url());
    await until('its reads to go to the replica', async () => {
      await client.query(`SELECT count(*) FROM ${table}`);
      return (await lastRoute(client)).startsWith('replica1');
    });
    await untilReplicaTakesAll(probe);
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    expect(await lastRoute(client)).toMatch(/^replica1/);
    const where = values === undefined ? '' : 'WHERE n >= $1';
    const read = client.query<{ n: number }>(
      `SELECT count(*)::int AS n, max(pg_sleep(0.1)::text) FROM ${table} ${where}`,
      values,
    );
    read.catch(() => undefined);
    await untilRunning(table);
    await cluster.query(`ALTER TABLE ${table} ADD COLUMN more int`);
    expect((await read).rows[0]?.n).toBe(100);
    expect(await lastRoute(client)).toMatch(/^primary; .*replica1 cancelled it in favour of the replay/);
    const { rows } = await client.query('SELECT pg_is_in_recovery() AS standby, current_setting($1) AS level', [
      'transaction_isolation',
    ]);
    expect(rows[0]).toEqual({ standby: false, level: 'repeatable read' });
    await client.query('COMMIT');
  });
});
