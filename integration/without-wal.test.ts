/**
 * Servers without PostgreSQL's WAL functions, such as Amazon Aurora: the writer serves everything, its readers get nothing, and the
 * reasons are told. The functions are replaced in one database by ones that fail with Aurora's words.
 */
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import {
  askConsole,
  closeClients,
  connectPg,
  lastRoute,
  startWeir,
  until,
  useCluster,
  weirConfig,
} from './harness/index.ts';
import type { WeirProcess } from './harness/index.ts';

const cluster = useCluster();
let database = '';
let weir: WeirProcess;

const failing = (name: string, code: string, words: string): string => `
  UPDATE pg_proc SET proname = '${name}_c' WHERE proname = '${name}';
  CREATE FUNCTION pg_catalog.${name}() RETURNS pg_lsn LANGUAGE plpgsql AS
    $$ BEGIN RAISE '${words}' USING ERRCODE = '${code}'; END $$;`;
const needsLogical = 'wal_level must be set to logical';
const unsupported = 'Function pg_last_xlog_replay_location() is currently not supported for Aurora';

beforeAll(async () => {
  database = await cluster.createDatabase();
  await cluster.query(
    `SET allow_system_table_mods = on;
    ${failing('pg_current_wal_insert_lsn', '55000', needsLogical)}
    ${failing('pg_current_wal_lsn', '55000', needsLogical)}
    ${failing('pg_last_wal_replay_lsn', '0A000', unsupported)}
    CREATE TABLE t (n int); INSERT INTO t VALUES (1); GRANT ALL ON t TO app`,
    { database },
  );
  await cluster.waitForReplicas();
  weir = await startWeir(weirConfig(cluster, { database }, { cache: { enabled: true } }));
});
afterEach(closeClients);
afterAll(async () => {
  await weir.stop();
  await cluster.dropDatabase(database);
});

interface Row {
  readonly role: string;
  readonly state: string;
  readonly problem: string | null;
}

test('the writer serves reads and writes, and the cache works; readers get nothing, and it is said why', async () => {
  const client = await connectPg(weir.url({ database }));
  const read = async (): Promise<unknown> => (await client.query<{ n: number }>('SELECT n FROM t')).rows[0]?.n;
  expect(await read()).toBe(1);
  expect(await lastRoute(client)).toMatch(/^primary; read/);
  await until('a hit', async () => {
    await read();
    return (await lastRoute(client)).startsWith('cache; hit');
  });
  await client.query('UPDATE t SET n = 2');
  expect(await read()).toBe(2);
  expect(await lastRoute(client)).toMatch(/^primary; read/);
  await client.query("SET weir.consistency = 'eventual'");
  await client.query("SET weir.cache = 'off'");
  expect(await read()).toBe(2);
  expect(await lastRoute(client)).toMatch(/^primary; read.*does not say how far its WAL is/);

  const [primary, ...replicas] = await askConsole<Row & Record<string, unknown>>(weir, 'SHOW NODES');
  expect(primary).toMatchObject({
    role: 'primary',
    state: 'up',
    problem: expect.stringContaining(needsLogical) as string,
  });
  expect(replicas.length).toBeGreaterThan(0);
  for (const row of replicas)
    expect(row).toMatchObject({
      role: 'replica',
      state: 'down',
      problem: expect.stringContaining(unsupported) as string,
    });
});

test('a primary that only refuses a function to the monitor is not taken for such a server', async () => {
  const other = await cluster.createDatabase();
  await cluster.query('REVOKE EXECUTE ON FUNCTION pg_current_wal_insert_lsn() FROM PUBLIC', { database: other });
  const refused = await startWeir(weirConfig(cluster, { database: other }), { waitUntilReady: false });
  const primary = async (): Promise<Row | undefined> =>
    (await askConsole<Row & Record<string, unknown>>(refused, 'SHOW NODES'))[0];
  await until('the refusal', async () => /permission denied/.test((await primary())?.problem ?? ''));
  expect(await primary()).toMatchObject({ state: 'down', role: 'unknown' });
  await refused.stop();
  await cluster.dropDatabase(other);
});
