/**
 * The three pool modes, and every limit in time and number that a pool or a client has, each with what the client is
 * told. What happens to servers is counted on the server.
 */
import type pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { Connection } from '../soak/connection.ts';
import { query } from '../src/protocol/write.ts';
import {
  closeClients,
  connectPg,
  fillOtherWorkers,
  startTestWeir,
  until,
  useCluster,
  users,
  weirConfig,
} from './harness/index.ts';
import type { TestWeir, WeirConfig } from './harness/index.ts';

let database: string;
let second: string;
let weir: TestWeir;

beforeAll(async () => {
  database = await useCluster().createDatabase();
  second = await useCluster().createDatabase();
});
afterEach(async () => {
  await closeClients();
  await weir.stop();
});
afterAll(async () => {
  await useCluster().dropDatabase(database);
  await useCluster().dropDatabase(second);
});

async function start(more: WeirConfig): Promise<void> {
  const base = { resize: { enabled: false }, log: { level: 'error' } };
  weir = await startTestWeir(weirConfig(useCluster(), { database, replicas: [] }, { ...base, ...more }));
}

const connect = (to = database): Promise<pg.Client> => connectPg(weir.url({ database: to }));

async function pidOf(client: pg.Client): Promise<number> {
  const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
  return rows[0]?.pid ?? 0;
}

/** Server connections of Weir's pools to a database. */
async function backends(of = database): Promise<number> {
  const [row] = await useCluster().query<{ n: number }>(
    `SELECT count(*)::int AS n FROM pg_stat_activity
     WHERE datname = $1 AND usename = $2 AND application_name <> 'weir monitor'`,
    { values: [of, users.app] },
  );
  return row?.n ?? 0;
}

/** Resolves with the error that ends the connection. */
function ended(client: pg.Client): Promise<{ code?: string; message: string }> {
  return new Promise((resolve) => client.once('error', resolve));
}

test('max_prepared_statements = 0: a name is passed on as it is, and nobody else finds it', async () => {
  await start({ max_prepared_statements: 0, default_pool_size: 1, max_pool_size: 1 });
  const [a, b] = [await connect(), await connect()];
  const secret = { name: 'mine', text: "SELECT 'of a'::text AS said" };
  await a.query('BEGIN');
  expect((await a.query(secret)).rows).toEqual([{ said: 'of a' }]);
  expect((await a.query('SELECT name FROM pg_prepared_statements')).rows).toEqual([{ name: 'mine' }]);
  await a.query('COMMIT');
  expect((await b.query('SELECT name FROM pg_prepared_statements')).rows).toEqual([]);
  expect((await b.query({ name: 'mine', text: "SELECT 'of b'::text AS said" })).rows).toEqual([{ said: 'of b' }]);
});

describe('pool_mode session', () => {
  test('a client keeps its server with all that is on it, and the next one finds it clean', async () => {
    await start({ pool_mode: 'session', default_pool_size: 1, max_pool_size: 1 });
    await fillOtherWorkers(weir);
    const first = await connect();
    const pid = await pidOf(first);
    await first.query('CREATE TEMPORARY TABLE mine (n int)');
    await first.query("SET work_mem = '7MB'");
    await first.query('PREPARE by_name AS SELECT 1 AS one');
    await first.query('SELECT pg_advisory_lock(42)');
    await first.query('LISTEN news');
    expect(await pidOf(first)).toBe(pid);
    expect((await first.query('EXECUTE by_name')).rows).toEqual([{ one: 1 }]);
    await first.end();

    const next = await connect();
    expect(await pidOf(next)).toBe(pid);
    expect((await next.query("SELECT to_regclass('pg_temp.mine') AS mine")).rows).toEqual([{ mine: null }]);
    expect((await next.query('SHOW work_mem')).rows).not.toEqual([{ work_mem: '7MB' }]);
    expect((await next.query('SELECT * FROM pg_prepared_statements')).rows).toEqual([]);
    expect((await next.query('SELECT * FROM pg_listening_channels()')).rows).toEqual([]);
    expect((await next.query("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND objid = 42")).rows).toEqual([]);
  });

  test('who comes when all servers are kept waits, for query_wait_timeout', async () => {
    await start({ pool_mode: 'session', default_pool_size: 1, max_pool_size: 1, query_wait_timeout: '1s' });
    const first = await connect();
    await first.query('SELECT 1');
    const late = await connect();
    await expect(late.query('SELECT 1')).rejects.toMatchObject({ code: '53400' });
    const waiting = late.query('SELECT 2 AS two');
    await first.end();
    expect((await waiting).rows).toEqual([{ two: 2 }]);
  });
});

describe('pool_mode transaction', () => {
  test('clients share servers between transactions, never inside of one', async () => {
    await start({ default_pool_size: 1, max_pool_size: 1 });
    await fillOtherWorkers(weir);
    const [a, b] = [await connect(), await connect()];
    const pid = await pidOf(a);
    expect(await pidOf(b)).toBe(pid);
    await a.query('BEGIN');
    expect(await pidOf(a)).toBe(pid);
    let isServed = false;
    const other = pidOf(b).finally(() => (isServed = true));
    for (let i = 0; i < 20; i++) await a.query('SELECT 1');
    expect(isServed).toBe(false);
    await a.query('COMMIT');
    expect(await other).toBe(pid);
  });

  test('who leaves in the middle of a transaction leaves nothing of it', async () => {
    await start({ default_pool_size: 1, max_pool_size: 1 });
    const a = await connect();
    await a.query('CREATE TABLE left_behind (n int)');
    await a.query('BEGIN');
    await a.query('INSERT INTO left_behind VALUES (1)');
    await a.end();
    const b = await connect();
    expect((await b.query('SELECT * FROM left_behind')).rows).toEqual([]);
  });
});

describe('pool_mode statement', () => {
  test('takes statements and refuses transaction blocks, and the client goes on', async () => {
    await start({ pool_mode: 'statement', default_pool_size: 1, max_pool_size: 1 });
    await fillOtherWorkers(weir);
    const client = await connect();
    await client.query('CREATE TABLE noted (n int)');
    for (const begin of ['BEGIN', 'START TRANSACTION READ ONLY', 'begin; insert into noted values (1)']) {
      await expect(client.query(begin)).rejects.toMatchObject({ code: '0A000' });
    }
    await expect(client.query({ text: 'BEGIN', values: [] })).rejects.toMatchObject({ code: '0A000' });
    expect((await client.query('SELECT * FROM noted')).rows).toEqual([]);
    // One message with several statements is one transaction to PostgreSQL, and open after it to nobody.
    await client.query('INSERT INTO noted VALUES (1); INSERT INTO noted VALUES (2)');
    expect((await client.query('SELECT count(*)::int AS n FROM noted')).rows).toEqual([{ n: 2 }]);
    const other = await connect();
    expect(await pidOf(other)).toBe(await pidOf(client));
  });

  test.each([
    ['in the same segment', ['BEGIN', 'INSERT INTO alone VALUES (1)', 'COMMIT']],
    ['behind a statement that is being answered', ['SELECT 1', 'BEGIN', 'INSERT INTO alone VALUES (1)', 'COMMIT']],
  ])('runs nothing that was sent behind a BEGIN, %s', async (_how, statements) => {
    await start({ pool_mode: 'statement', auth: { type: 'trust' }, tls: { server: { mode: 'disable' } } });
    const client = await connect();
    await client.query('CREATE TABLE IF NOT EXISTS alone (n int)');
    const piped = await Connection.open(weir, { user: users.app, database });
    const bytes = Buffer.concat(statements.map((sql) => query(sql)));
    await expect(piped.send(bytes, statements.length)).rejects.toThrow(/ended 0A000 /);
    expect((await client.query('SELECT n FROM alone')).rows).toEqual([]);
    // Who waits for the answer goes on.
    const waits = await Connection.open(weir, { user: users.app, database });
    expect(await waits.send(query('BEGIN'), 1)).toMatchObject([{ sqlstate: '0A000', status: 'I' }]);
    expect(await waits.send(query('SELECT 1'), 1)).toMatchObject([{ rows: [['1']], status: 'I' }]);
    waits.end();
  });
});

describe('limits of clients', () => {
  test('max_client_conn', async () => {
    await start({ max_client_conn: 3 });
    const clients = [await connect(), await connect(), await connect()];
    await expect(connect()).rejects.toMatchObject({ code: '53300' });
    await clients[0]?.end();
    await until('the place to be free', () => connect().then(() => true));
  });

  test('client_idle_timeout ends who is idle, not who works', async () => {
    await start({ client_idle_timeout: '1s' });
    const [idle, works] = [await connect(), await connect()];
    const end = ended(idle);
    await works.query('SELECT pg_sleep(2.5)');
    expect(await end).toMatchObject({ code: '57P05' });
    expect((await works.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
  });

  test('idle_transaction_timeout ends it, and its transaction', async () => {
    await start({ idle_transaction_timeout: '1s', default_pool_size: 1, max_pool_size: 1 });
    const client = await connect();
    await client.query('CREATE TABLE undone (n int)');
    await client.query('BEGIN');
    await client.query('INSERT INTO undone VALUES (1)');
    expect(await ended(client)).toMatchObject({ code: '25P03' });
    const next = await connect();
    expect((await next.query('SELECT * FROM undone')).rows).toEqual([]);
  });

  test('query_wait_timeout: told which pool, and what to do, and the client goes on', async () => {
    await start({ query_wait_timeout: '500ms', default_pool_size: 1, max_pool_size: 1 });
    const [holder, waits] = [await connect(), await connect()];
    await holder.query('BEGIN');
    await holder.query('SELECT 1');
    await expect(waits.query('CREATE TABLE never (n int)')).rejects.toMatchObject({
      code: '53400',
      message: expect.stringContaining(`${database}.${users.app} on primary`),
      hint: expect.stringContaining('SHOW POOLS'),
    });
    await holder.query('COMMIT');
    expect((await waits.query("SELECT to_regclass('never') AS never")).rows).toEqual([{ never: null }]);
  });
});

describe('limits of servers', () => {
  test('server_lifetime replaces a server between two transactions', async () => {
    await start({ server_lifetime: '1s', default_pool_size: 1, max_pool_size: 1 });
    const client = await connect();
    const pid = await pidOf(client);
    await client.query('BEGIN');
    const inside = await pidOf(client);
    await client.query('SELECT pg_sleep(1.5)');
    expect(await pidOf(client)).toBe(inside);
    await client.query('COMMIT');
    await until('another server', async () => (await pidOf(client)) !== pid);
  });

  test.each(['transaction', 'session'])('server_lifetime = 0: in %s mode nobody gets a used server', async (mode) => {
    await start({ pool_mode: mode, server_lifetime: 0, default_pool_size: 1, max_pool_size: 1 });
    const pids = new Set<number>();
    for (let i = 0; i < 4; i++) {
      const client = await connect();
      const pid = await pidOf(client);
      expect((await pidOf(client)) === pid).toBe(mode === 'session');
      pids.add(pid);
      await client.end();
    }
    expect(pids.size).toBe(4);
  });

  test('server_idle_timeout closes what nobody uses, down to min_pool_size', async () => {
    await start({ server_idle_timeout: '1s', default_pool_size: 6, min_pool_size: 2 });
    const clients = await Promise.all(Array.from({ length: 6 }, () => connect()));
    const work = Promise.all(clients.map((client) => client.query('SELECT pg_sleep(1)')));
    await until('six to be open', async () => (await backends()) === 6);
    await work;
    await until('two to be left', async () => (await backends()) === 2);
    expect((await clients[0]?.query('SELECT 1 AS one'))?.rows).toEqual([{ one: 1 }]);
  });

  test('max_db_connections of one database is not that of another on the same node', async () => {
    const { primary } = useCluster();
    const url = `postgres://${users.app}:${useCluster().password}@127.0.0.1:${primary.port}/${second}`;
    await start({
      default_pool_size: 5,
      databases: {
        [database]: {
          max_db_connections: 2,
          primary: { url: useCluster().url(primary, { database }), name: 'primary' },
        },
        [second]: { primary: { url, name: 'primary' } },
      },
    });
    const work = async (to: string): Promise<void> => {
      const clients = await Promise.all(Array.from({ length: 8 }, () => connect(to)));
      await Promise.all(clients.map((client) => client.query('SELECT pg_sleep(0.6)')));
    };
    const all = Promise.all([work(database), work(second)]);
    await until('the second to have five', async () => (await backends(second)) === 5);
    expect(await backends(database)).toBeLessThanOrEqual(2);
    await all;
    expect(await backends(database)).toBeLessThanOrEqual(2);
  });
});
