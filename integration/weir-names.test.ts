/**
 * weir.* names where a server would take them for its own: set_config(), and ALTER ROLE or DATABASE ... SET. They get an error
 * that says what to do instead; other names are not concerned.
 */
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type pg from 'pg';
import { closeClients, connectPg, startTestWeir, useCluster, weirConfig } from './harness/index.ts';
import type { TestWeir } from './harness/index.ts';

const cluster = useCluster();
let database: string;
let weir: TestWeir;

beforeAll(async () => {
  database = await cluster.createDatabase();
  weir = await startTestWeir(weirConfig(cluster, { database }));
});
afterEach(closeClients);
afterAll(async () => {
  await weir.stop();
  await cluster.dropDatabase(database);
});

const errorOf = (
  answer: Promise<unknown>,
): Promise<{ code?: string | undefined; message: string; hint?: string | undefined } | undefined> =>
  answer.then(
    () => undefined,
    (error: pg.DatabaseError) => error,
  );

test.each([
  ["SELECT set_config('weir.bogus', 'x', false)"],
  ["SELECT pg_catalog.set_config('Weir.Route', 'primary', true)"],
  ["SELECT 1 FROM (SELECT set_config('weir.route', 'primary', false)) AS s"],
  ["ALTER ROLE CURRENT_USER SET weir.route = 'primary'"],
  ["ALTER DATABASE shop SET weir.cache = 'off'"],
])('%s is refused, with what to do instead', async (sql) => {
  const client = await connectPg(weir.url({ database }));
  const error = await errorOf(client.query(sql));
  expect(error).toMatchObject({ code: '0A000' });
  expect(error?.message).toMatch(/"weir\.(bogus|route|cache)"/);
  expect(error?.hint).toMatch(/^SET weir\./);
  // In the extended protocol.
  expect(await errorOf(client.query({ name: 'named', text: sql }))).toMatchObject({ code: '0A000' });
  expect((await client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
});

test('set_config() with its value as a parameter is refused, too', async () => {
  const client = await connectPg(weir.url({ database }));
  const answer = client.query("SELECT set_config('weir.route', $1, false)", ['primary']);
  expect(await errorOf(answer)).toMatchObject({ code: '0A000' });
});

test('other names go to the server', async () => {
  const client = await connectPg(weir.url({ database }));
  await client.query("SELECT pg_catalog.set_config('search_path', '', false)");
  expect((await client.query('SHOW search_path')).rows).toEqual([{ search_path: '' }]);
  await client.query("SELECT set_config('weirdo.x', 'weir.route', false)");
  expect((await client.query('SHOW weirdo.x')).rows).toEqual([{ 'weirdo.x': 'weir.route' }]);
  expect(await errorOf(client.query(`ALTER ROLE CURRENT_USER RESET weir.route`))).toBeUndefined();
});
