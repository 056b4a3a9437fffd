/**
 * The admin console of a whole Weir, spoken to by node-postgres, postgres.js and psql. What each command does to rows
 * and bounds is in test/control; here is what it does to real clients and servers.
 */
import { connect } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import type pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { cancelRequest } from '../src/protocol/write.ts';
import {
  closeClients,
  connectPg,
  connectPostgresJs,
  findProgram,
  runPsql,
  startTestWeir,
  until,
  useCluster,
  weirConfig,
} from './harness/index.ts';
import type { TestWeir } from './harness/index.ts';

let weir: TestWeir;
let database: string;

beforeAll(async () => {
  database = await useCluster().createDatabase();
  const settings = {
    auth: { stats_users: ['app2'] },
    max_client_conn: 40,
    cache: { enabled: true },
    log: { level: 'error' },
  };
  weir = await startTestWeir(weirConfig(useCluster(), { database }, settings));
});
afterEach(closeClients);
afterAll(async () => {
  await weir.stop();
  await useCluster().dropDatabase(database);
});

const connectApp = (options: pg.ClientConfig = {}): Promise<pg.Client> => connectPg(weir.url({ database }), options);

const admin = (): Promise<pg.Client> => connectPg(weir.adminUrl());

const tables = [
  'POOLS',
  'CLIENTS',
  'SERVERS',
  'DATABASES',
  'NODES',
  'STATS',
  'STATS_TOTALS',
  'STATS_AVERAGES',
  'TOTALS',
];
const more = ['LISTS', 'CONFIG', 'USERS', 'PREPARED', 'CACHE', 'STATE', 'VERSION', 'HELP'];

describe('any client', () => {
  test.each([...tables, ...more])('SHOW %s, through two drivers and psql alike', async (name) => {
    const client = await connectApp();
    await client.query({ name: 'by-name', text: 'SELECT 1' });
    const console = await admin();
    const simple = await console.query<Record<string, string>>(`SHOW ${name}`);
    const sql = connectPostgresJs(weir.adminUrl());
    const extended = await sql.unsafe(`SHOW ${name}`);
    expect(simple.rows.length).toBeGreaterThan(0);
    expect(extended.columns.map((column) => column.name)).toEqual(simple.fields.map((field) => field.name));
    if (findProgram('psql') === undefined) return;
    const psql = await runPsql(weir.adminUrl(), `SHOW ${name};`);
    expect([psql.code, psql.stderr]).toEqual([0, '']);
    expect(psql.stdout.trim().split('\n')[0]?.split('|').length).toBe(simple.fields.length);
  });

  test('the database is also called pgbouncer', async () => {
    const console = await connectPg(weir.url({ user: 'weir', database: 'pgbouncer' }));
    expect((await console.query('SHOW VERSION')).rows[0]).toMatchObject({ version: expect.stringMatching(/^Weir \d/) });
  });

  test('stats users may look; others are not let in', async () => {
    const stats = await connectPg(weir.url({ user: 'app2', database: 'weir' }));
    expect((await stats.query('SHOW NODES')).rows).toHaveLength(3);
    await expect(stats.query('PAUSE')).rejects.toMatchObject({ code: '42501' });
    await expect(connectPg(weir.url({ database: 'weir' }))).rejects.toThrow('admin console');
  });

  test('SHOW CONFIG and SHOW DATABASES keep passwords to themselves', async () => {
    const console = await admin();
    for (const name of ['CONFIG', 'DATABASES', 'NODES']) {
      expect(JSON.stringify((await console.query(`SHOW ${name}`)).rows)).not.toContain(useCluster().password);
    }
  });
});

describe('when Weir is full', () => {
  test('operators still get in', async () => {
    const clients: pg.Client[] = [];
    await until('Weir to be full', async () => {
      try {
        clients.push(await connectApp());
        return clients.length > 60;
      } catch (error) {
        expect(error).toMatchObject({ code: '53300' });
        return true;
      }
    });
    expect(clients.length).toBeLessThanOrEqual(40);
    const console = await admin();
    const [row] = (await console.query<{ current_client_connections: string }>('SHOW DATABASES')).rows;
    expect(Number(row?.current_client_connections)).toBe(clients.length);
  });
});

describe('what commands do', () => {
  test('PAUSE waits for a transaction, can be cancelled, and RESUME lets everybody on', async () => {
    const client = await connectApp();
    await client.query('BEGIN');
    await client.query('SELECT pg_backend_pid()');
    const console = await admin();
    const pausing = console.query(`PAUSE ${database}`).catch((error: unknown) => error);
    const second = await admin();
    await until('the database to be paused', async () => {
      const [row] = (await second.query<{ paused: string }>('SHOW DATABASES')).rows;
      return row?.paused === '1';
    });
    const { processID, secretKey } = console as unknown as { processID: number; secretKey: number };
    const secret = Buffer.alloc(4);
    secret.writeInt32BE(secretKey);
    connect(weir.port, weir.host).end(cancelRequest(processID, secret));
    expect(await pausing).toMatchObject({ code: '57014' });

    const waiting = (await connectApp()).query('SELECT 3 AS three');
    await client.query('COMMIT');
    await console.query(`PAUSE ${database}`);
    const { rows: servers } = await console.query('SHOW SERVERS');
    expect(servers).toEqual([]);
    await console.query(`RESUME ${database}`);
    expect((await waiting).rows).toEqual([{ three: 3 }]);
  });

  test.each(['of one database', 'global'])(
    'PAUSE (%s): who waits too long is told of it, old client or new',
    async (which) => {
      const console = await admin();
      const [client, replicaClient] = [await connectApp(), await connectApp()];
      await client.query('SELECT 1');
      await replicaClient.query('/* weir: route=replica */ SELECT 1');
      await console.query("SET query_wait_timeout = '700ms'");
      await console.query(which === 'global' ? 'PAUSE' : `PAUSE ${database}`);
      const told = {
        code: '53400',
        message: expect.stringContaining(`database "${database}" is paused`),
        hint: expect.stringContaining('RESUME'),
      };
      try {
        await expect(client.query('SELECT 1')).rejects.toMatchObject(told);
        await expect(replicaClient.query('/* weir: route=replica */ SELECT 1')).rejects.toMatchObject(told);
        await expect(client.query('BEGIN')).rejects.toMatchObject(told);
        // With settings of its own, so that a server has to be asked before the client is let in.
        await expect(connectApp({ options: '-c work_mem=1234kB' })).rejects.toMatchObject(told);
      } finally {
        await console.query('RESUME');
        await console.query("SET query_wait_timeout = '30s'");
      }
      expect((await client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
    },
  );

  test('RECONNECT and WAIT_CLOSE replace every server connection', async () => {
    const client = await connectApp();
    const pid = async (): Promise<number | undefined> =>
      (await client.query<{ pid: number }>('/* weir: route=primary */ SELECT pg_backend_pid() AS pid')).rows[0]?.pid;
    const before = await pid();
    const console = await admin();
    await console.query('RECONNECT; WAIT_CLOSE');
    expect(await pid()).not.toBe(before);
  });

  test('DISABLE refuses new clients and lets the old go on', async () => {
    const client = await connectApp();
    const console = await admin();
    await console.query(`DISABLE ${database}`);
    await expect(connectApp()).rejects.toMatchObject({
      code: '55000',
      message: expect.stringContaining(`"${database}" is disabled`),
    });
    expect((await client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
    await console.query(`ENABLE ${database}`);
    await connectApp();
  });

  test('SHOW STATS counts the bytes of clients while they are connected, and once when they have left', async () => {
    const client = await connectApp();
    const console = await admin();
    const bytes = async (): Promise<{ received: number; sent: number }> => {
      const { rows } = await console.query<Record<string, string>>('SHOW STATS_TOTALS');
      const row = rows.find((each) => each['database'] === database);
      const of = (name: string): number =>
        Number(Object.entries(row ?? {}).find(([key]) => key.endsWith(name))?.[1] ?? NaN);
      return { received: of('received'), sent: of('sent') };
    };
    const before = await bytes();
    await client.query(`SELECT repeat('x', 100000) AS answer, '${'y'.repeat(50_000)}' AS question`);
    const during = await bytes();
    expect(during.sent - before.sent).toBeGreaterThan(150_000);
    expect(during.received - before.received).toBeGreaterThan(50_000);
    await client.end();
    await until('it to have left', async () => {
      const { rows } = await console.query<{ database: string }>('SHOW CLIENTS');
      return rows.every((row) => row.database !== database);
    });
    const after = await bytes();
    expect(after.sent - during.sent).toBeLessThan(1_000);
    expect(after.received - during.received).toBeLessThan(1_000);
    expect(after.received).toBeGreaterThanOrEqual(during.received);
  });

  test('SHOW STATS counts assignments, and Parse and Bind as PgBouncer does', async () => {
    const console = await admin();
    const counts = async (): Promise<number[]> => {
      const { rows } = await console.query<Record<string, string>>('SHOW STATS_TOTALS');
      const row = rows.find((each) => each['database'] === database) ?? {};
      const names = ['server_assignment_count', 'client_parse_count', 'server_parse_count', 'bind_count'];
      return names.map((name) => Number(row[name]));
    };
    // The first client of a user is shown what a server reports: that is nobody's assignment.
    const before = await counts();
    const client = await connectApp();
    expect(await counts()).toEqual(before);
    const counted = { name: 'counted', text: 'SELECT $1::int AS counted', values: [1] };
    await client.query('BEGIN');
    for (let i = 0; i < 3; i++) await client.query(counted);
    await client.query('COMMIT');
    await client.query('UPDATE pg_class SET relname = relname WHERE false').catch(() => undefined);
    const after = await counts();
    expect(after.map((count, i) => count - (before[i] ?? 0))).toEqual([2, 1, 1, 3]);
  });

  test('SHOW STATS: a transaction counts with what the client does in it, a query only on its server', async () => {
    const [console, client] = [await admin(), await connectApp()];
    const times = async (): Promise<{ xact: number; query: number }> => {
      const { rows } = await console.query<Record<string, string>>('SHOW STATS');
      const row = rows.find((each) => each['database'] === database) ?? {};
      return { xact: Number(row['total_xact_time']), query: Number(row['total_query_time']) };
    };
    const before = await times();
    await client.query('BEGIN');
    await client.query('SELECT pg_sleep(0.1)');
    await setTimeout(100);
    await client.query('COMMIT');
    const after = await times();
    const [xact, query] = [after.xact - before.xact, after.query - before.query];
    expect(query).toBeGreaterThan(99_000);
    expect(xact - query).toBeGreaterThan(98_000);
  });

  test('SET changes a setting at once; what needs a restart is refused', async () => {
    const console = await admin();
    const value = async (): Promise<string | undefined> =>
      (await console.query<{ query_wait_timeout: string }>('SHOW query_wait_timeout')).rows[0]?.query_wait_timeout;
    const before = await value();
    await console.query("SET query_wait_timeout = '7s'");
    expect(await value()).toBe('7s');
    await expect(console.query("SET query_wait_timeout = 'soon'")).rejects.toThrow('query_wait_timeout');
    await expect(console.query("SET listen = '127.0.0.1:1'")).rejects.toThrow('needs a new start of Weir');
    await console.query('RELOAD');
    expect(await value()).toBe(before);
  });

  test('INVALIDATE TABLE makes the next read ask the database again', async () => {
    const client = await connectApp();
    const cluster = useCluster();
    await client.query('CREATE TABLE console_cached (n int)');
    await client.query('INSERT INTO console_cached VALUES (1)');
    await cluster.waitForReplicas();
    const read = async (): Promise<string | undefined> => {
      await client.query('SELECT count(*)::int AS n FROM console_cached');
      const { rows } = await client.query<Record<string, string>>('SHOW weir.last_route');
      return rows[0]?.['weir.last_route'];
    };
    await until('the answer to be cached', async () => /hit/.test((await read()) ?? ''));
    await (await admin()).query('INVALIDATE TABLE public.console_cached');
    expect(await read()).not.toMatch(/\bhit\b/);
  });

  test('EXPLAIN POOL tells why a pool has its size', async () => {
    const client = await connectPg(weir.url({ database }));
    await client.query('SELECT 1');
    const console = await admin();
    const valueOf = async (item: string): Promise<string> => {
      const { rows } = await console.query<Record<string, string>>(`EXPLAIN POOL "${database}"`);
      return rows
        .filter((row) => row['node'] === 'primary' && row['item'] === item)
        .map((row) => row['value'])
        .join('; ');
    };
    await console.query(`RESIZE POOL "${database}" NODE primary MAX 31`);
    expect(await valueOf('size')).toMatch(/^may have \d+ connections now, at least \d+, at most 31$/);
    expect(await valueOf('set by')).toContain('max: RESIZE POOL (the configuration has max_pool_size');
    expect(await valueOf('server')).toMatch(/^primary offers 197 connections .* \d+ of them free$/);
    expect(await valueOf('would grow')).toContain('to at most 31');
    await expect(console.query(`EXPLAIN POOL "${database}".nobody`)).rejects.toThrow(
      /there is no pool of .*nobody yet/,
    );
  });

  test('EXPLAIN ROUTE tells and does not run', async () => {
    const console = await admin();
    const { rows } = await console.query<{ item: string; value: string }>('EXPLAIN ROUTE DROP TABLE nothing');
    expect(rows.length).toBeGreaterThan(2);
    expect(rows.map((row) => row.value).join('\n')).toContain('primary');
    const broken = await console.query<{ item: string; value: string }>("EXPLAIN ROUTE SELEC 'x");
    expect(broken.rows.map((row) => row.value).join('\n')).toContain('primary');
  });
});

describe('SHUTDOWN', () => {
  test.each(['', ' WAIT_FOR_SERVERS', ' WAIT_FOR_CLIENTS'])('SHUTDOWN%s answers, and then does it', async (how) => {
    const own = await startTestWeir(weirConfig(useCluster(), { database }));
    const client = await connectPg(own.url({ database }));
    const isGone = new Promise((resolve) => client.once('error', resolve));
    await client.query('BEGIN');
    const console = await connectPg(own.adminUrl());
    const { command } = await console.query(`SHUTDOWN${how}`);
    expect(command).toBe('SHUTDOWN');
    if (how !== '') {
      await until('new clients to be refused', async () => {
        const late = await connectPg(own.url({ database })).catch((error: unknown) => error);
        // A worker lets clients in until it has heard of it.
        if (!(late instanceof Error)) await (late as pg.Client).end();
        return late instanceof Error && /57P01|ECONN/.test(String((late as { code?: string }).code));
      });
      await client.query('COMMIT');
      // The console that has asked does not count among the clients that are waited for.
      if (how === ' WAIT_FOR_CLIENTS') await client.end();
      else await isGone;
    }
    await own.ended;
    await own.stop();
  });
});
