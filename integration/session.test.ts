/**
 * Clients in transaction mode on few servers: what they do must look as it does straight to PostgreSQL, and what one of
 * them leaves behind must never be seen by another.
 */
import { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { closeClients, connectPg, connectPostgresJs, startWeir, useCluster, weirConfig } from './harness/index.ts';
import type { WeirProcess } from './harness/index.ts';

const cluster = useCluster();
let weir: WeirProcess;
let database: string;

beforeAll(async () => {
  database = await cluster.createDatabase();
  weir = await startWeir(
    weirConfig(cluster, { database }, { default_pool_size: 1, max_pool_size: 1, resize: { enabled: false } }),
  );
});
afterEach(closeClients);
afterAll(async () => {
  await weir.stop();
});

const connect = (): ReturnType<typeof connectPg> => connectPg(weir.url({ database }));

describe('two clients on one server', () => {
  test('SET stays with the client that said it', async () => {
    const [a, b] = [await connect(), await connect()];
    await a.query("SET statement_timeout = '7s'");
    await a.query("SET TimeZone = 'Asia/Tokyo'");
    expect((await b.query('SHOW statement_timeout')).rows).toEqual([{ statement_timeout: '0' }]);
    expect((await a.query('SHOW statement_timeout')).rows).toEqual([{ statement_timeout: '7s' }]);
    expect((await a.query('SHOW TimeZone')).rows).toEqual([{ TimeZone: 'Asia/Tokyo' }]);
  });

  test('prepared statements of the same name are their own', async () => {
    const [a, b] = [await connect(), await connect()];
    for (let round = 0; round < 3; round++) {
      expect((await a.query({ name: 'p', text: 'SELECT $1::int + 1 AS n', values: [round] })).rows).toEqual([
        { n: round + 1 },
      ]);
      expect((await b.query({ name: 'p', text: 'SELECT $1::text AS t', values: ['x'] })).rows).toEqual([{ t: 'x' }]);
    }
  });

  test('a failed transaction stays failed until it is rolled back, and is nobody else’s', async () => {
    const [a, b] = [await connect(), await connect()];
    await a.query('BEGIN');
    await expect(a.query('SELECT 1/0')).rejects.toMatchObject({ code: '22012' });
    await expect(a.query('SELECT 1')).rejects.toMatchObject({ code: '25P02' });
    await a.query('ROLLBACK');
    expect((await b.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
  });

  test('an error names itself as PostgreSQL does', async () => {
    const a = await connect();
    await expect(a.query('SELECT * FROM no_such_table')).rejects.toMatchObject({ code: '42P01' });
    await expect(a.query('SELEC 1')).rejects.toMatchObject({ code: '42601', position: '1' });
    expect((await a.query('SELECT 2 AS two')).rows).toEqual([{ two: 2 }]);
  });
});

describe('a setting that a used server does not take any more', () => {
  // temp_buffers cannot be changed, nor reset, behind the first use of a temporary table, not even after DISCARD ALL.
  const usesTemporary = async (client: Awaited<ReturnType<typeof connect>>): Promise<void> => {
    await client.query('CREATE TEMP TABLE scratch AS SELECT 1 AS one');
    await client.query('SELECT * FROM scratch');
    await client.query('DISCARD TEMP');
  };
  /** On the primary, as the temporary tables. */
  const buffersOf = async (client: Awaited<ReturnType<typeof connect>>): Promise<unknown> => {
    await client.query('BEGIN');
    const { rows } = await client.query<{ temp_buffers: string }>('SHOW temp_buffers');
    await client.query('COMMIT');
    return rows[0]?.temp_buffers;
  };

  test('is replayed onto a new one', async () => {
    const [sets, uses] = [await connect(), await connect()];
    await sets.query("SET temp_buffers = '4MB'");
    await usesTemporary(uses);
    expect(await buffersOf(sets)).toBe('4MB');
    await usesTemporary(sets);
    expect(await buffersOf(uses)).toBe('8MB');
    expect(await buffersOf(sets)).toBe('4MB');
  });

  test('and which came with the connection is no reason to refuse the client', async () => {
    await usesTemporary(await connect());
    const options = encodeURIComponent('-c temp_buffers=5MB');
    const client = await connectPg(`${weir.url({ database })}?options=${options}`);
    expect(await buffersOf(client)).toBe('5MB');
  });

  test('is an error if no server takes it, as long as that is so', async () => {
    const [client, other] = [await connect(), await connect()];
    const role = `gone_${process.pid}`;
    const create = `CREATE ROLE ${role}; GRANT ${role} TO app`;
    await cluster.query(create);
    await client.query(`SET ROLE ${role}`);
    await other.query('BEGIN; COMMIT');
    await cluster.query(`DROP ROLE ${role}`);
    await expect(client.query('BEGIN')).rejects.toThrow(`role "${role}" does not exist`);
    await cluster.query(create);
    expect(await client.query('BEGIN; COMMIT')).toHaveLength(2);
    await client.query('RESET ROLE');
    await cluster.query(`DROP ROLE ${role}`);
  });
});

describe('drivers', () => {
  test('postgres.js pipelines, prepares and rolls back', async () => {
    const sql = connectPostgresJs(weir.url({ database }));
    const answers = await Promise.all(Array.from({ length: 50 }, (_, i) => sql`SELECT ${i}::int AS i`));
    expect(answers.map(([row]) => row?.['i'])).toEqual(Array.from({ length: 50 }, (_, i) => i));
    await sql`CREATE TABLE rolled (i int)`;
    await expect(
      sql.begin(async (tx) => {
        await tx`INSERT INTO rolled VALUES (1)`;
        throw new Error('no');
      }),
    ).rejects.toThrow('no');
    expect(await sql`SELECT count(*)::int AS n FROM rolled`).toMatchObject([{ n: 0 }]);
  });

  test('COPY goes both ways', async () => {
    const sql = connectPostgresJs(weir.url({ database }));
    await sql`CREATE TABLE copied (i int, t text)`;
    const lines = Array.from({ length: 20_000 }, (_, i) => `${i}\tline ${i}\n`);
    await pipeline(Readable.from(lines), await sql`COPY copied FROM STDIN`.writable());
    expect(await sql`SELECT count(*)::int AS n, sum(i)::int AS s FROM copied`).toMatchObject([
      { n: 20_000, s: 199_990_000 },
    ]);
    let bytes = 0;
    const counter = new Writable({
      write(chunk: Buffer, _encoding, done) {
        bytes += chunk.length;
        done();
      },
    });
    await pipeline(await sql`COPY copied TO STDOUT`.readable(), counter);
    expect(bytes).toBe(lines.join('').length);
  });

  test('a value larger than any buffer passes whole', async () => {
    const a = await connect();
    const { rows } = await a.query("SELECT length($1::text) AS sent, repeat('x', 20000000) AS got", [
      'y'.repeat(5_000_000),
    ]);
    expect(rows[0].sent).toBe(5_000_000);
    expect(rows[0].got).toHaveLength(20_000_000);
  });
});

describe('what keeps the server', () => {
  test('a session sees its own writes, wherever it reads', async () => {
    const a = await connect();
    await a.query('CREATE TABLE own (n int)');
    await a.query('INSERT INTO own VALUES (0)');
    for (let n = 1; n <= 100; n++) {
      await a.query('UPDATE own SET n = $1', [n]);
      expect((await a.query('SELECT n FROM own')).rows).toEqual([{ n }]);
    }
  });
});

describe('words of Weir’s own', () => {
  test('SET, SHOW and RESET of weir.* settings, simple and prepared', async () => {
    const a = await connect();
    const shown = async (name: string): Promise<unknown> => (await a.query(`SHOW ${name}`)).rows[0]?.[name];
    await a.query("SET weir.route = 'primary'");
    expect(await shown('weir.route')).toBe('primary');
    await a.query({ name: 's', text: "SET weir.consistency = 'eventual'" });
    expect((await a.query({ name: 'show', text: 'SHOW weir.consistency' })).rows).toEqual([
      { 'weir.consistency': 'eventual' },
    ]);
    await a.query('RESET weir.route');
    expect(await shown('weir.route')).toBe('auto');
    await expect(a.query("SET weir.route = 'nowhere'")).rejects.toMatchObject({
      hint: expect.stringContaining('auto, primary, replica') as string,
    });
    await expect(a.query('SET weir.nonsense = 1')).rejects.toThrow(/weir\.nonsense/);
    expect((await a.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
  });

  test('are of their session, and DISCARD ALL ends them', async () => {
    const [a, b] = [await connect(), await connect()];
    await a.query("SET weir.route = 'primary'");
    await b.query("SET weir.cache = '30s'");
    expect((await b.query('SHOW weir.route')).rows).toEqual([{ 'weir.route': 'auto' }]);
    await a.query('DISCARD ALL');
    expect((await a.query('SHOW weir.route')).rows).toEqual([{ 'weir.route': 'auto' }]);
    expect((await b.query('SHOW weir.cache')).rows).toEqual([{ 'weir.cache': '30000ms' }]);
  });
});
