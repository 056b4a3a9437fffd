/**
 * node-postgres and postgres.js through Weir as their users use them, with SCRAM, without TLS and with it, on fewer
 * servers than clients: what they do must go as it does straight to PostgreSQL. Programs are in programs.test.ts.
 */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import pg from 'pg';
import type postgres from 'postgres';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import {
  CertificateAuthority,
  closeClients,
  connectPg,
  connectPostgresJs,
  currentRun,
  startWeir,
  until,
  useCluster,
  weirConfig,
} from './harness/index.ts';
import type { WeirProcess } from './harness/index.ts';
import { RawCopy } from './harness/raw-copy.ts';

const cluster = useCluster();
const authority = new CertificateAuthority();
const tlsOptions = { ca: authority.ca.cert, rejectUnauthorized: true };
let weir: WeirProcess;
let database: string;

beforeAll(async () => {
  database = await cluster.createDatabase();
  const dir = mkdtempSync(join(currentRun().dir, 'tls-'));
  const { cert, key } = authority.server();
  writeFileSync(join(dir, 'cert.pem'), cert);
  writeFileSync(join(dir, 'key.pem'), key, { mode: 0o600 });
  const client = { mode: 'prefer', cert: join(dir, 'cert.pem'), key: join(dir, 'key.pem') };
  const pool = { default_pool_size: 3, max_pool_size: 3, resize: { enabled: false } };
  weir = await startWeir(weirConfig(cluster, { database }, { ...pool, tls: { client } }));
  await cluster.query('CREATE TABLE item (id int PRIMARY KEY, name text)', { database });
  await cluster.query('ALTER TABLE item OWNER TO app', { database });
});
afterEach(async () => {
  await closeClients();
  await cluster.query('TRUNCATE item', { database });
});
afterAll(async () => {
  await weir.stop();
  await cluster.dropDatabase(database);
});

const numbers = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

describe.each([
  { how: 'SCRAM', ssl: undefined },
  { how: 'SCRAM over TLS', ssl: tlsOptions },
])('node-postgres, $how', ({ ssl }) => {
  const tls = ssl === undefined ? {} : { ssl };
  const connect = (): Promise<pg.Client> => connectPg(weir.url({ database }), tls);

  async function withPool(use: (pool: pg.Pool) => Promise<void>): Promise<void> {
    const pool = new pg.Pool({ connectionString: weir.url({ database }), max: 12, ...tls });
    try {
      await use(pool);
    } finally {
      await pool.end();
    }
  }

  test('is encrypted when it asks for it', async () => {
    const client = await connect();
    const stream = (client as unknown as { connection: { stream: { encrypted?: boolean } } }).connection.stream;
    expect(stream.encrypted ?? false).toBe(ssl !== undefined);
  });

  test('a Pool of more clients than servers: parameters of every kind', () =>
    withPool(async (pool) => {
      const ask = (n: number): Promise<pg.QueryResult> =>
        pool.query(
          'SELECT $1::int AS n, $2::text AS t, $3::jsonb AS j, $4::bytea AS b, $5::int[] AS a, $6::text AS o',
          [...[n, `text ${n}`, { n }, Buffer.from([0, n % 256, 255]), [n, n + 1], null]],
        );
      const answers = await Promise.all(numbers(200).map(ask));
      answers.forEach(({ rows: [row] }, n) => {
        const b = Buffer.from([0, n % 256, 255]);
        expect(row).toEqual({ n, t: `text ${n}`, j: { n }, b, a: [n, n + 1], o: null });
      });
    }));

  test('statements of one name with different texts in many clients', () =>
    withPool(async (pool) => {
      const clients = await Promise.all(numbers(6).map(() => pool.connect()));
      for (let round = 0; round < 5; round++) {
        const ask = async (client: pg.PoolClient, i: number): Promise<unknown> =>
          (await client.query({ name: 'same', text: `SELECT $1::int * ${i} AS n`, values: [round] })).rows[0].n;
        expect(await Promise.all(clients.map(ask))).toEqual(clients.map((_, i) => round * i));
      }
      clients.forEach((client) => client.release());
    }));

  test('transactions with savepoints: an error undoes what came after the savepoint', async () => {
    const client = await connect();
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
    await client.query('INSERT INTO item VALUES (1, $1)', ['kept']);
    await client.query('SAVEPOINT s');
    await expect(client.query('INSERT INTO item VALUES (1, $1)', ['twice'])).rejects.toMatchObject({
      code: '23505',
      constraint: 'item_pkey',
      table: 'item',
    });
    await client.query('ROLLBACK TO SAVEPOINT s');
    await client.query('INSERT INTO item VALUES (2, $1)', ['after']);
    await client.query('RELEASE SAVEPOINT s');
    await client.query('COMMIT');
    expect((await client.query('SELECT id, name FROM item ORDER BY id')).rows).toEqual([
      { id: 1, name: 'kept' },
      { id: 2, name: 'after' },
    ]);
  });

  test('rows fetched in portions (a portal that is suspended and goes on)', async () => {
    const client = await connect();
    const text = 'SELECT n FROM generate_series(1, $1) AS n';
    // `rows` is in node-postgres's Query and not in its types: as many rows with each Execute, and Flush between.
    const query: pg.QueryConfig & { rows: number } = { text, values: [1003], rows: 100 };
    const { rows } = await client.query<{ n: number }>(query);
    expect(rows.map(({ n }) => n)).toEqual(numbers(1003).map((i) => i + 1));
    expect((await client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
  });

  test('a cursor of SQL in a transaction', async () => {
    const client = await connect();
    await client.query('BEGIN');
    await client.query('DECLARE c CURSOR FOR SELECT n FROM generate_series(1, 10) AS n');
    expect((await client.query('FETCH 4 FROM c')).rows).toEqual([1, 2, 3, 4].map((n) => ({ n })));
    expect((await client.query('FETCH ALL FROM c')).rowCount).toBe(6);
    await client.query('CLOSE c');
    await client.query('COMMIT');
  });

  test('several statements in one string, the results of each', async () => {
    const client = await connect();
    const results = (await client.query(
      "INSERT INTO item VALUES (1, 'a'), (2, 'b'); SELECT count(*)::int AS n FROM item; DELETE FROM item WHERE id = 1",
    )) as unknown as pg.QueryResult[];
    expect(results.map(({ command, rowCount }) => [command, rowCount])).toEqual([
      ['INSERT', 2],
      ['SELECT', 1],
      ['DELETE', 1],
    ]);
    expect(results[1]?.rows).toEqual([{ n: 2 }]);
  });

  test('LISTEN hears what another client says when it commits, and only then', async () => {
    const [listener, speaker] = [await connect(), await connect()];
    const heard: (string | undefined)[] = [];
    listener.on('notification', ({ channel, payload }) => heard.push(`${channel}: ${payload}`));
    await listener.query('LISTEN news');
    await speaker.query('BEGIN');
    await speaker.query("NOTIFY news, 'never'");
    await speaker.query('ROLLBACK');
    await speaker.query("SELECT pg_notify('news', 'committed')");
    await until('the notification', () => heard.length > 0);
    expect(heard).toEqual(['news: committed']);
    await listener.query('UNLISTEN *');
  });

  test('COPY both ways, and COPY given up half-way', async () => {
    const client = await connect();
    const lines = numbers(5000).map((i) => `${i}\titem ${i}\n`);
    await client.query(new RawCopy('COPY item FROM STDIN', lines)).done;
    const out = await client.query(new RawCopy('COPY (SELECT * FROM item ORDER BY id) TO STDOUT')).done;
    expect(out.toString()).toBe(lines.join(''));
    const failing = new RawCopy('COPY item FROM STDIN', ['9001\tx\n'], 'changed my mind');
    await expect(client.query(failing).done).rejects.toMatchObject({ code: '57014' });
    expect((await client.query('SELECT count(*)::int AS n FROM item')).rows).toEqual([{ n: 5000 }]);
  });

  test('notices, errors and time-outs arrive as they are', async () => {
    const client = await connect();
    const notices: (string | undefined)[] = [];
    client.on('notice', ({ message }) => notices.push(message));
    await client.query("DO $$ BEGIN RAISE NOTICE 'hello %', 1; END $$");
    expect(notices).toEqual(['hello 1']);
    await client.query("SET statement_timeout = '50ms'");
    await expect(client.query('SELECT pg_sleep(60)')).rejects.toMatchObject({ code: '57014' });
    await client.query('RESET statement_timeout');
    await expect(client.query('SELECT $1::int', ['x'])).rejects.toMatchObject({ code: '22P02' });
    expect((await client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
  });
});

describe.each([
  { how: 'SCRAM', options: {} },
  { how: 'SCRAM over TLS', options: { ssl: tlsOptions } },
  { how: 'SCRAM, not preparing', options: { prepare: false } },
])('postgres.js, $how', ({ options }) => {
  const connect = (max = 1): postgres.Sql => connectPostgresJs(weir.url({ database }), { max, ...options });

  test('pipelines on few connections', async () => {
    const sql = connect(2);
    const answers = await Promise.all(numbers(300).map((i) => sql`SELECT ${i}::int AS i, ${`t${i % 7}`}::text AS t`));
    expect(answers.map(([row]) => [row?.['i'], row?.['t']])).toEqual(numbers(300).map((i) => [i, `t${i % 7}`]));
  });

  test('an error in a pipeline is one statement’s own', async () => {
    const sql = connect();
    const asked = [sql`SELECT 1 AS n`, sql`SELECT 1 / ${0}::int AS n`, sql`SELECT 3 AS n`];
    const [first, second, third] = await Promise.allSettled(asked);
    expect(first).toMatchObject({ status: 'fulfilled', value: [{ n: 1 }] });
    expect(second).toMatchObject({ status: 'rejected', reason: { code: '22012' } });
    expect(third).toMatchObject({ status: 'fulfilled', value: [{ n: 3 }] });
  });

  test('begin and savepoint', async () => {
    const sql = connect(2);
    await sql.begin(async (tx) => {
      await tx`INSERT INTO item ${tx([{ id: 1, name: 'kept' }])}`;
      const inner = tx.savepoint(async (point) => {
        await point`INSERT INTO item VALUES (2, 'lost')`;
        throw new Error('undo');
      });
      await expect(inner).rejects.toThrow('undo');
    });
    await expect(sql.begin((tx) => tx`INSERT INTO item VALUES (1, 'twice')`)).rejects.toMatchObject({ code: '23505' });
    expect(await sql`SELECT id, name FROM item`).toEqual([{ id: 1, name: 'kept' }]);
  });

  test('cursor', async () => {
    const sql = connect();
    const portions: number[] = [];
    await sql`SELECT n FROM generate_series(1, 25) AS n`.cursor(10, (rows) => void portions.push(rows.length));
    expect(portions).toEqual([10, 10, 5]);
    // One that the caller leaves before its end.
    for await (const [row] of sql`SELECT n FROM generate_series(1, 25) AS n`.cursor(1)) if (row?.['n'] === 3) break;
    expect(await sql`SELECT 1 AS one`).toEqual([{ one: 1 }]);
  });

  test('listen and notify', async () => {
    const sql = connect();
    const heard: string[] = [];
    const { unlisten } = await sql.listen('bulletin', (payload) => heard.push(payload));
    await sql.notify('bulletin', 'read all about it');
    await until('the notification', () => heard.length > 0);
    expect(heard).toEqual(['read all about it']);
    await unlisten();
  });

  test('COPY both ways', async () => {
    const sql = connect();
    const lines = numbers(5000).map((i) => `${i}\titem ${i}\n`);
    await pipeline(Readable.from(lines), await sql`COPY item FROM STDIN`.writable());
    const chunks: Buffer[] = [];
    for await (const chunk of await sql`COPY item TO STDOUT`.readable()) chunks.push(chunk as Buffer);
    expect(Buffer.concat(chunks).toString()).toBe(lines.join(''));
  });

  test('cancel stops its own statement', async () => {
    const sql = connect();
    const slow = sql`SELECT pg_sleep(60)`.execute();
    const isRunning = `SELECT 1 FROM pg_stat_activity WHERE datname = $1 AND wait_event = 'PgSleep'`;
    const anywhere = async (): Promise<boolean> => {
      for (const node of cluster.nodes) {
        if ((await cluster.query(isRunning, { node, values: [database] })).length > 0) return true;
      }
      return false;
    };
    await until('the statement to run', anywhere);
    slow.cancel();
    await expect(slow).rejects.toMatchObject({ code: '57014' });
    expect(await sql`SELECT 1 AS one`).toEqual([{ one: 1 }]);
  });

  test('values of many types', async () => {
    const sql = connect();
    // postgres.js learns how to write arrays with its first statement.
    await sql`SELECT 1`;
    const when = new Date('2026-02-03T04:05:06.789Z');
    const [row] = await sql`SELECT ${when}::timestamptz AS d, ${sql.array([1, 2])}::int[] AS a,
      ${'9007199254740993'}::bigint AS b, ${sql.json({ k: [1] })}::jsonb AS j, ${null}::text AS n`;
    expect(row).toEqual({ d: when, a: [1, 2], b: '9007199254740993', j: { k: [1] }, n: null });
  });
});
