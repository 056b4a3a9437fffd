/**
 * SHOW STATEMENTS and the log of statements in front of real servers: simple, extended, pipelined, several statements in a text,
 * cursors, COPY, errors, cancels, cached answers, replicas; of two workers together; and no value is shown anywhere.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type pg from 'pg';
import { Backend } from '../src/protocol/codes.ts';
import { parse } from './differential/messages.ts';
import { bind, describeStatement, execute, flush, run, sync, type Sent } from './differential/messages.ts';
import { RawClient } from './differential/raw-client.ts';
import {
  askConsole,
  closeClients,
  connectPg,
  connectToEach,
  linesOf,
  startWeir,
  startWorkers,
  until,
  useCluster,
  users,
  weirConfig,
} from './harness/index.ts';
import type { WeirConfig, WeirProcess } from './harness/index.ts';

const cluster = useCluster();
let database: string;
let weir: WeirProcess | undefined;

beforeAll(async () => {
  database = await cluster.createDatabase();
  await cluster.query(
    'CREATE TABLE t (k int PRIMARY KEY, v text); INSERT INTO t SELECT g FROM generate_series(1, 20) g; GRANT ALL ON t TO PUBLIC',
    { database },
  );
  await cluster.waitForReplicas();
});
afterEach(async () => {
  await closeClients();
  await weir?.stop();
  weir = undefined;
});
afterAll(() => cluster.dropDatabase(database));

async function start(more: WeirConfig = {}): Promise<WeirProcess> {
  return (weir = await startWeir(weirConfig(cluster, { database }, more)));
}

interface Row extends pg.QueryResultRow {
  readonly query: string;
  readonly calls: string;
  readonly nodes: string;
  readonly total_ms: number;
  readonly wait_ms: number;
  readonly server_ms: number;
}

async function statements(of: WeirProcess): Promise<Row[]> {
  const rows = await askConsole<Row>(of, 'SHOW STATEMENTS');
  return rows.filter((row) => row['database'] === database);
}

async function statement(of: WeirProcess, query: string): Promise<Row | undefined> {
  const found = (await statements(of)).filter((row) => row.query === query);
  expect(found.length).toBeLessThanOrEqual(1);
  return found[0];
}

const numbersOf = (row: Row | undefined): unknown =>
  row && { calls: Number(row.calls), errors: Number(row['errors']), rows: Number(row['rows']), nodes: row.nodes };

const active = `FROM pg_stat_activity WHERE datname = $1 AND state = 'active' AND query LIKE $2 AND pid <> pg_backend_pid()`;

/** Until the primary runs a statement with this text. */
async function untilRuns(what: string): Promise<void> {
  await until(`${what} to run`, async () => {
    const rows = await cluster.query(`SELECT 1 ${active}`, { values: [database, `%${what}%`] });
    return rows.length > 0;
  });
}

describe('what is counted', () => {
  test('simple and extended queries, errors, COPY, cursors, several statements in a text', async () => {
    const of = await start({ routing: { consistency: 'strict' } });
    const client = await connectPg(of.url({ database }));
    for (const k of [1, 2, 3]) await client.query(`SELECT v FROM t WHERE k = ${k}`);
    for (const k of [4, 5]) await client.query('SELECT k FROM t WHERE k <= $1', [k]);
    for (const k of [6, 7])
      await client.query({ name: 'named', text: 'SELECT k + 1 FROM t WHERE k <= $1', values: [k] });
    await expect(client.query("SELECT 1 / (k - 1) FROM t WHERE v <> 'S3cret'")).resolves.toBeDefined();
    await expect(client.query('SELECT 1 / (k - 1) FROM t')).rejects.toMatchObject({ code: '22012' });
    await expect(client.query("SELECT no_such FROM t WHERE v = 'S3cret'")).rejects.toMatchObject({ code: '42703' });
    await expect(client.query("SELEC 'S3cret'")).rejects.toMatchObject({ code: '42601' });
    await client.query('COPY (SELECT k FROM t) TO STDOUT');
    await client.query("BEGIN; UPDATE t SET v = 'S3cret' WHERE k < 4; UPDATE t SET v = NULL; COMMIT");
    await client.query('BEGIN; DECLARE c CURSOR FOR SELECT k FROM t');
    await client.query('FETCH 7 FROM c');
    await client.query('FETCH 5 FROM c');
    await client.query('MOVE 5 FROM c');
    await client.query('ROLLBACK');
    await client.query('SHOW weir.route');
    const seen = Object.fromEntries((await statements(of)).map((row) => [row.query, numbersOf(row)]));
    const nodes = (calls: number): string => `primary ${calls}`;
    expect(seen).toMatchObject({
      'MOVE ? FROM c': { calls: 1, errors: 0, rows: 0, nodes: nodes(1) },
      'SELECT v FROM t WHERE k = ?': { calls: 3, errors: 0, rows: 3, nodes: nodes(3) },
      'SELECT k FROM t WHERE k <= $1': { calls: 2, errors: 0, rows: 9, nodes: nodes(2) },
      'SELECT k + ? FROM t WHERE k <= $1': { calls: 2, errors: 0, rows: 13, nodes: nodes(2) },
      'SELECT ? / (k - ?) FROM t': { calls: 1, errors: 1, rows: 0, nodes: nodes(1) },
      'SELECT no_such FROM t WHERE v = ?': { calls: 1, errors: 1, rows: 0, nodes: nodes(1) },
      'SELEC (not parsed)': { calls: 1, errors: 1, rows: 0, nodes: nodes(1) },
      'COPY (SELECT k FROM t) TO STDOUT': { calls: 1, errors: 0, rows: 20, nodes: nodes(1) },
      BEGIN: { calls: 2, errors: 0, rows: 0, nodes: nodes(2) },
      'UPDATE t SET v = ? WHERE k < ?': { calls: 1, errors: 0, rows: 3, nodes: nodes(1) },
      'UPDATE t SET v = NULL': { calls: 1, errors: 0, rows: 20, nodes: nodes(1) },
      COMMIT: { calls: 1, errors: 0, rows: 0, nodes: nodes(1) },
      'DECLARE c CURSOR FOR SELECT k FROM t': { calls: 1, errors: 0, rows: 0, nodes: nodes(1) },
      'FETCH ? FROM c': { calls: 2, errors: 0, rows: 12, nodes: nodes(2) },
      'SHOW weir.route': { calls: 1, errors: 0, rows: 0, nodes: 'none 1' },
    });
    expect(JSON.stringify(seen)).not.toContain('S3cret');
  });

  test('of a text that fails in the middle: the one that failed, and not those behind it', async () => {
    const of = await start();
    const client = await connectPg(of.url({ database }));
    const text = 'UPDATE t SET v = NULL WHERE k = 1; SELECT 1 / 0; SELECT k FROM t';
    await expect(client.query(text)).rejects.toMatchObject({ code: '22012' });
    expect(numbersOf(await statement(of, 'UPDATE t SET v = NULL WHERE k = ?'))).toMatchObject({ calls: 1, errors: 0 });
    expect(numbersOf(await statement(of, 'SELECT ? / ?'))).toMatchObject({ calls: 1, errors: 1 });
    expect(await statement(of, 'SELECT k FROM t')).toBeUndefined();
  });

  test('each Execute of a batch and of a pipeline, each piece of a portal; each moment once', async () => {
    const of = await start({ auth: { type: 'trust' }, routing: { consistency: 'strict' } });
    const where = { host: of.host, port: of.port, user: users.app, password: '', database };
    const client = await RawClient.open(where, {});
    try {
      const readies = (): number => client.received.filter(({ type }) => type === Backend.ReadyForQuery).length;
      await client.until(() => readies() === 1);
      const say = (...messages: readonly Sent[]): void =>
        client.send(Buffer.concat(messages.map(({ bytes }) => bytes)));
      say(parse('a', 'SELECT k FROM t WHERE k = $1', [23]), parse('b', 'SELECT pg_sleep(0.1)'), sync);
      await client.until(() => readies() === 2);
      say(...run('a', '1'), ...run('b'), ...run('a', '2'), sync);
      say(...run('b'), sync, ...run('a', '3'), sync);
      await client.until(() => readies() === 5);
      say(parse('', 'SELECT k FROM t ORDER BY k'), bind('', ''), execute('', 2), execute('', 2), execute('', 0), sync);
      await client.until(() => readies() === 6);
    } finally {
      client.close();
    }
    const quick = await statement(of, 'SELECT k FROM t WHERE k = $1');
    const slow = await statement(of, 'SELECT pg_sleep(?)');
    expect(numbersOf(quick)).toEqual({ calls: 3, errors: 0, rows: 3, nodes: 'primary 3' });
    expect(numbersOf(slow)).toEqual({ calls: 2, errors: 0, rows: 2, nodes: 'primary 2' });
    // The batch takes 100 ms, of which each of its three has a third; then `b` alone takes 100 ms, and the last `a` waits for it.
    expect(slow?.server_ms).toBeGreaterThanOrEqual(130);
    expect(quick?.server_ms).toBeLessThan(slow?.server_ms ?? 0);
    expect(quick?.wait_ms).toBeGreaterThanOrEqual(90);
    expect(numbersOf(await statement(of, 'SELECT k FROM t ORDER BY k'))).toMatchObject({ calls: 3, errors: 0 });
  });

  test('not the time in which the server waits for more of a batch, also before its first Execute', async () => {
    const of = await start({ auth: { type: 'trust' }, routing: { consistency: 'strict' } });
    const client = await RawClient.open({ host: of.host, port: of.port, user: users.app, password: '', database }, {});
    const pauseMs = 1_000;
    const seen = (type: number): number => client.received.filter((message) => message.type === type).length;
    const say = (...messages: readonly Sent[]): void => client.send(Buffer.concat(messages.map(({ bytes }) => bytes)));
    try {
      await client.until(() => seen(Backend.ReadyForQuery) === 1);
      for (const [n, sql] of ['SELECT k AS a FROM t', 'SELECT 1 / (k - k) AS b FROM t'].entries()) {
        say(parse('', sql), describeStatement(''), flush);
        await client.until(() => seen(Backend.RowDescription) === n + 1);
        await new Promise((resolve) => setTimeout(resolve, pauseMs));
        say(...run(''), sync);
        await client.until(() => seen(Backend.ReadyForQuery) === n + 2);
      }
    } finally {
      client.close();
    }
    for (const query of ['SELECT k AS a FROM t', 'SELECT ? / (k - k) AS b FROM t']) {
      const row = await statement(of, query);
      expect(Number(row?.calls)).toBe(1);
      // The pause is of the client; a slow machine may take long, but not for the statement and the pause.
      expect((row?.total_ms ?? 0) - (row?.wait_ms ?? 0) - (row?.server_ms ?? 0)).toBeCloseTo(0, 1);
      expect(row?.server_ms).toBeLessThan(pauseMs);
    }
  });

  test('a cancelled statement, and one whose client has left, have failed', async () => {
    const of = await start({ routing: { consistency: 'strict' } });
    const client = await connectPg(of.url({ database }));
    const failing = expect(client.query('SELECT pg_sleep(600)')).rejects.toMatchObject({ code: '57014' });
    await untilRuns('pg_sleep(600)');
    await cluster.query(`SELECT pg_cancel_backend(pid) ${active}`, { values: [database, '%pg_sleep(600)%'] });
    await failing;
    const leaving = await connectPg(of.url({ database }));
    leaving.on('error', () => undefined);
    const lost = leaving.query('SELECT pg_sleep(601)').catch(() => undefined);
    await untilRuns('pg_sleep(601)');
    (leaving as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy();
    await lost;
    await until('both to be counted', async () => Number((await statement(of, 'SELECT pg_sleep(?)'))?.calls) === 2);
    expect(numbersOf(await statement(of, 'SELECT pg_sleep(?)'))).toMatchObject({ errors: 2, rows: 0 });
  });

  test('replicas, cached answers, and the wait for a connection', async () => {
    const of = await start({
      cache: { enabled: true },
      default_pool_size: 1,
      max_pool_size: 1,
      resize: { enabled: false },
    });
    const client = await connectPg(of.url({ database }));
    const read = 'SELECT v FROM t WHERE k = 9';
    await until('a hit', async () => {
      await client.query(read);
      return Number((await statement(of, 'SELECT v FROM t WHERE k = ?'))?.['cache_hits']) >= 3;
    });
    const row = await statement(of, 'SELECT v FROM t WHERE k = ?');
    expect(row?.nodes).toMatch(/cache \d+/);
    expect(row?.nodes).toMatch(/replica[12] \d+/);
    const [hits, misses] = [Number(row?.['cache_hits']), Number(row?.['cache_misses'])];
    expect(row?.['hit_rate']).toBeCloseTo(hits / (hits + misses), 4);
    // Two clients, one connection to the primary.
    const other = await connectPg(of.url({ database }));
    const slow = client.query('/* weir: route=primary */ SELECT pg_sleep(0.2)');
    await untilRuns('pg_sleep(0.2)');
    await Promise.all([slow, other.query('/* weir: route=primary */ SELECT count(*) FROM t')]);
    const waited = await statement(of, 'SELECT count(*) FROM t');
    expect(waited?.wait_ms).toBeGreaterThan(waited?.server_ms ?? Infinity);
  });
});

test('RESET STATEMENTS begins anew, SET switches it off and on; statements.max bounds it', async () => {
  const of = await start({ statements: { max: 20 } });
  const client = await connectPg(of.url({ database }));
  for (let i = 0; i < 100; i++) await client.query(`SELECT k AS c${i} FROM t WHERE k = 1`);
  expect((await askConsole(of, 'SHOW STATEMENTS')).length).toBeLessThanOrEqual(20);
  await askConsole(of, 'RESET STATEMENTS');
  expect(await statements(of)).toEqual([]);
  await client.query('SELECT v FROM t WHERE k = 1');
  expect(await statements(of)).toHaveLength(1);
  await askConsole(of, 'SET statements.enabled = false');
  await client.query('SELECT v FROM t WHERE k = 1');
  expect(await statements(of)).toEqual([]);
  await askConsole(of, 'SET statements.enabled = true');
  await client.query('SELECT v FROM t WHERE k = 1');
  expect(numbersOf((await statements(of))[0])).toMatchObject({ calls: 1 });
});

test('texts that cannot be read count by their first word: in another encoding, or too long', async () => {
  const of = await start();
  const client = await connectPg(of.url({ database }));
  await client.query("SET client_encoding = 'LATIN1'");
  await client.query("SELECT 'é' AS a");
  await client.query("SELECT 'é' AS a, k FROM t WHERE k = 1; UPDATE t SET v = 'é' WHERE k = 1");
  await client.query(`INSERT INTO t VALUES (90, '${'x'.repeat(4_000_000)}')`);
  await client.query('DELETE FROM t WHERE k = 90');
  const texts = (await statements(of)).map(({ query, calls }) => [query, Number(calls)]);
  expect(texts).toEqual(
    expect.arrayContaining([
      ['SELECT (not parsed)', 3],
      ['INSERT (not parsed)', 1],
    ]),
  );
});

test('two workers count together, whichever is asked, and forget together', async () => {
  const of = (weir = await startWorkers(2, weirConfig(cluster, { database })));
  const clients = await connectToEach(() => connectPg(of.url({ database })), 2);
  for (const client of clients) for (let i = 0; i < 3; i++) await client.query('SELECT v FROM t WHERE k = 1');
  for (let i = 0; i < 4; i++) {
    expect(Number((await statement(of, 'SELECT v FROM t WHERE k = ?'))?.calls)).toBe(6);
  }
  await askConsole(of, 'RESET STATEMENTS');
  for (let i = 0; i < 4; i++) expect(await statement(of, 'SELECT v FROM t WHERE k = ?')).toBeUndefined();
});

/** Clients wait for each other. */
const onePlace = { default_pool_size: 1, max_pool_size: 1, resize: { enabled: false } };

describe('the log', () => {
  test('has slow statements with route, times and trace, and no value', async () => {
    const of = await start({ log_min_duration: '100ms' });
    const client = await connectPg(of.url({ database }), { application_name: 'checkout' });
    const trace = '0af7651916cd43dd8448eb211c80319c';
    const comment = `/*action='S3cret',traceparent='00-${trace}-b7ad6b7169203331-01'*/`;
    await client.query(`SELECT pg_sleep(0.15), 'S3cret' ${comment}`);
    await client.query('SELECT 1');
    await expect(
      client.query("DO $$ BEGIN PERFORM pg_sleep(0.15); RAISE EXCEPTION 'S3cret' USING ERRCODE = 'P0042'; END $$"),
    ).rejects.toMatchObject({ code: 'P0042' });
    await until('both lines', () => linesOf(of, 'slow_statement').length === 2);
    const [slow, failed] = linesOf(of, 'slow_statement');
    expect(slow).toMatchObject({
      ...{ level: 'warn', database, user: users.app, application_name: 'checkout', rows: 1, cache: 'off' },
      ...{ trace_id: trace, query: 'SELECT pg_sleep(?), ?', query_id: expect.stringMatching(/^[0-9a-f]{16}$/) },
      ...{ why: expect.any(String), node: expect.stringMatching(/primary|replica/) },
    });
    expect(slow?.['server_ms']).toBeGreaterThanOrEqual(150);
    expect(Number(slow?.['duration_ms'])).toBeCloseTo(Number(slow?.['wait_ms']) + Number(slow?.['server_ms']), 2);
    expect(slow).not.toHaveProperty('error');
    expect(failed).toMatchObject({ query: 'DO ?', error: 'P0042', route: 'primary' });
    expect(failed).not.toHaveProperty('trace_id');
    for (const line of linesOf(of, 'slow_statement')) expect(JSON.stringify(line)).not.toContain('S3cret');
  });

  test('has the SQLSTATE of errors of Weir, too', async () => {
    const of = await start({ log_min_duration: 0, query_wait_timeout: '200ms', ...onePlace });
    const client = await connectPg(of.url({ database }));
    const codes = (): unknown[] =>
      linesOf(of, 'slow_statement').flatMap(({ error }) => (error === undefined ? [] : [error]));
    const refused = async (sql: string, code: string): Promise<void> => {
      await expect(client.query(sql)).rejects.toMatchObject({ code });
    };
    await refused('SET weir.unknown = 1', '42704');
    await client.query('BEGIN');
    await refused('SET weir.unknown = 1', '42704');
    await refused('SHOW weir.route', '25P02');
    await client.query('ROLLBACK');
    const holder = await connectPg(of.url({ database }));
    await holder.query('BEGIN; SELECT k FROM t FOR UPDATE');
    await refused('UPDATE t SET v = v WHERE k = 1', '53400');
    await holder.query('ROLLBACK');
    await until('all lines', () => codes().length === 4);
    expect(codes()).toEqual(['42704', '42704', '25P02', '53400']);
  });

  test('a storm is cut to fifty lines, and a share of all statements is logged by itself', async () => {
    const of = await start({ log_min_duration: 0, statements: { enabled: false } });
    const client = await connectPg(of.url({ database }));
    for (let i = 0; i < 300; i++) await client.query('SELECT v FROM t WHERE k = 1');
    expect(linesOf(of, 'slow_statement').length).toBeLessThanOrEqual(52);
    expect(linesOf(of, 'slow_statement').length).toBeGreaterThanOrEqual(50);
    await askConsole(of, 'SET log_min_duration = -1');
    await askConsole(of, 'SET log_statement_sample_rate = 1');
    await client.query('SELECT k FROM t WHERE k = 2');
    await until('a sample', () => linesOf(of, 'statement').length === 1);
    expect(linesOf(of, 'statement')[0]).toMatchObject({ level: 'info', query: 'SELECT k FROM t WHERE k = ?' });
    await askConsole(of, 'SET log_statement_sample_rate = 0');
    await client.query('SELECT k FROM t WHERE k = 2');
    expect(linesOf(of, 'statement')).toHaveLength(1);
  });
});
