/**
 * ALTER ROLE and ALTER DATABASE ... SET: as with PostgreSQL, whoever logs in afterwards has the new defaults, and whoever was
 * there before keeps what it began with, on whatever server.
 */
import type pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { closeClients, connectPg, startWeir, until, useCluster } from './harness/index.ts';
import { users, weirConfig, workersOfTests } from './harness/index.ts';
import type { WeirProcess } from './harness/index.ts';

const cluster = useCluster();
let weir: WeirProcess;
let database: string;

beforeAll(async () => {
  database = await cluster.createDatabase();
  const pool = { default_pool_size: 2, max_pool_size: 2, resize: { enabled: false } };
  weir = await startWeir(weirConfig(cluster, { database, replicas: [] }, pool));
});
afterEach(async () => {
  // Through Weir, so that it knows at once.
  await (await connect()).query(`ALTER ROLE ${users.app} RESET ALL; ALTER DATABASE ${database} RESET ALL`);
  await closeClients();
});
afterAll(async () => {
  await weir.stop();
  await cluster.dropDatabase(database);
});

const admin = (sql: string): Promise<unknown> => cluster.query(sql, { database });
const connect = (parameters = ''): Promise<pg.Client> => connectPg(weir.url({ database }) + parameters);

async function show(client: pg.Client, name: string): Promise<string> {
  const { rows } = await client.query<{ value: string }>(`SELECT current_setting('${name}') AS value`);
  return rows[0]?.value ?? '';
}

/** Runs `work` while `others` have all other servers, so that it cannot find one that suits it by chance. */
async function withOneServer<T>(other: pg.Client, work: () => Promise<T>): Promise<T> {
  await other.query('BEGIN');
  const result = await work();
  await other.query('COMMIT');
  return result;
}

describe('through Weir', () => {
  test('the next client has them at once, and those before keep theirs', async () => {
    const [old, other] = [await connect(), await connect()];
    expect(await show(old, 'work_mem')).toBe('4MB');
    await old.query(`ALTER ROLE ${users.app} SET work_mem = '7MB'`);
    const young = await connect();
    for (let i = 0; i < 4; i++) {
      expect(await show(young, 'work_mem')).toBe('7MB');
      expect(await show(old, 'work_mem')).toBe('4MB');
      expect(await withOneServer(young, () => show(old, 'work_mem'))).toBe('4MB');
      expect(await withOneServer(old, () => show(young, 'work_mem'))).toBe('7MB');
    }
    expect(await show(other, 'work_mem')).toBe('4MB');
    await old.query("SET work_mem = '9MB'");
    expect(await show(old, 'work_mem')).toBe('9MB');
    await old.query('RESET work_mem');
    await show(young, 'work_mem');
    expect(await show(old, 'work_mem')).toBe('4MB');
    await old.query('RESET ALL');
    expect(await withOneServer(young, () => show(old, 'work_mem'))).toBe('4MB');
  });

  test('a reported setting is told to the new client, and the old one hears nothing new', async () => {
    const old = await connect();
    const before = await show(old, 'TimeZone');
    await old.query(`ALTER DATABASE ${database} SET TimeZone = 'Asia/Tokyo'`);
    const young = await connect();
    expect(await show(young, 'TimeZone')).toBe('Asia/Tokyo');
    expect(await show(old, 'TimeZone')).toBe(before);
    expect(await show(young, 'TimeZone')).toBe('Asia/Tokyo');
    const own = await connect('?options=-c%20TimeZone=Asia/Seoul');
    expect(await show(own, 'TimeZone')).toBe('Asia/Seoul');
  });

  test('search_path finds the tables of the new default for the new client only', async () => {
    await admin('CREATE SCHEMA later; CREATE TABLE later.t AS SELECT 1 AS i; GRANT ALL ON SCHEMA later TO PUBLIC');
    await admin('GRANT ALL ON later.t TO PUBLIC');
    const old = await connect();
    await old.query(`ALTER DATABASE ${database} SET search_path = later`);
    const young = await connect();
    expect((await young.query('SELECT i FROM t')).rows).toEqual([{ i: 1 }]);
    await expect(old.query('SELECT i FROM t')).rejects.toMatchObject({ code: '42P01' });
    expect((await young.query('SELECT i FROM t')).rows).toEqual([{ i: 1 }]);
  });

  test('what is changed twice, or taken back, is what it was for each client when it came', async () => {
    const first = await connect();
    await first.query(`ALTER ROLE ${users.app} SET work_mem = '5MB'`);
    const second = await connect();
    await first.query(`ALTER ROLE ${users.app} SET work_mem = '6MB'`);
    const third = await connect();
    await first.query(`ALTER ROLE ${users.app} RESET work_mem`);
    const fourth = await connect();
    for (let i = 0; i < 3; i++) {
      expect(await show(first, 'work_mem')).toBe('4MB');
      expect(await show(second, 'work_mem')).toBe('5MB');
      expect(await show(third, 'work_mem')).toBe('6MB');
      expect(await show(fourth, 'work_mem')).toBe('4MB');
    }
  });

  test('a transaction goes on, and a pinned client keeps its server', async () => {
    const [begun, pinned] = [await connect(), await connect()];
    await pinned.query('CREATE TEMP TABLE mine (i int)');
    await begun.query('BEGIN');
    await begun.query(`SET LOCAL work_mem = '3MB'`);
    await admin(`ALTER ROLE ${users.app} SET work_mem = '8MB'`);
    await pinned.query(`ALTER ROLE ${users.app} SET lock_timeout = '77s'`);
    expect(await show(begun, 'work_mem')).toBe('3MB');
    await begun.query('COMMIT');
    expect(await show(begun, 'work_mem')).toBe('4MB');
    expect((await pinned.query('SELECT * FROM mine')).rows).toEqual([]);
    expect(await show(pinned, 'lock_timeout')).toBe('0');
    const young = await connect();
    expect([await show(young, 'work_mem'), await show(young, 'lock_timeout')]).toEqual(['8MB', '77s']);
    expect([await show(begun, 'work_mem'), await show(begun, 'lock_timeout')]).toEqual(['4MB', '0']);
  });
});

describe('beside Weir', () => {
  test('new clients have them as soon as Weir has looked, and those before keep theirs', async () => {
    const old = await connect();
    expect(await show(old, 'work_mem')).toBe('4MB');
    await admin(`ALTER ROLE ${users.app} SET work_mem = '11MB'`);
    await until('Weir to have looked', async () => {
      const young = await connect();
      const value = await show(young, 'work_mem');
      await young.end();
      return value === '11MB';
    });
    if (workersOfTests() !== undefined) {
      // Another worker may look a moment later. On a server from before the change its client would have what it had anyway.
      const console = await connectPg(weir.adminUrl());
      await until('its worker to have looked', async () => {
        await console.query('RECONNECT');
        return (await show(old, 'work_mem')) === '4MB';
      });
    }
    expect(await show(old, 'work_mem')).toBe('4MB');
  });

  test('a setting for superusers only does not keep anybody from working', async () => {
    const old = await connect();
    await admin(`ALTER ROLE ${users.app} SET log_min_duration_statement = 12345`);
    await until('Weir to have looked', async () => {
      const young = await connect();
      const value = await show(young, 'log_min_duration_statement');
      await young.end();
      return value === '12345ms';
    });
    expect((await old.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
    await admin(`ALTER ROLE ${users.app} RESET ALL`);
  });
});
