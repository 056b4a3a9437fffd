/**
 * Custom settings of clients that share servers: NULL for who has never set one, whatever others have set, and no client is
 * in another's way for it. Byte for byte it is in differential/scripts/custom-settings.ts.
 */
import type pg from 'pg';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { closeClients, connectPg, startWeir, until, useCluster, weirConfig } from './harness/index.ts';
import type { WeirProcess } from './harness/index.ts';

const cluster = useCluster();
let weir: WeirProcess;
let database: string;

beforeAll(async () => {
  database = await cluster.createDatabase();
  const pool = { default_pool_size: 2, max_pool_size: 2, resize: { enabled: false } };
  weir = await startWeir(weirConfig(cluster, { database, replicas: [] }, pool));
});
afterEach(closeClients);
afterAll(async () => {
  await weir.stop();
  await cluster.dropDatabase(database);
});

const connect = (): Promise<pg.Client> => connectPg(weir.url({ database }));

async function ask(client: pg.Client, name: string): Promise<string | null> {
  const { rows } = await client.query<{ value: string | null }>(`SELECT current_setting('${name}', true) AS value`);
  return rows[0]?.value ?? null;
}

test('many clients on two servers: everybody hears what it has set itself', async () => {
  const setters = await Promise.all([1, 2, 3].map(connect));
  const askers = await Promise.all([1, 2, 3].map(connect));
  const wrong: unknown[] = [];
  const expectValue = (value: string | null, right: string | null): void => {
    if (value !== right) wrong.push([value, right]);
  };
  const set = async (client: pg.Client, id: number): Promise<void> => {
    for (let i = 0; i < 20; i++) {
      await client.query('BEGIN');
      await client.query("SELECT set_config('app.crowd', $1, true)", [`${id}.${i}`]);
      expectValue(await ask(client, 'app.crowd'), `${id}.${i}`);
      await client.query('COMMIT');
      expectValue(await ask(client, 'app.crowd'), '');
    }
  };
  const hear = async (client: pg.Client): Promise<void> => {
    for (let i = 0; i < 20; i++) expectValue(await ask(client, 'app.crowd'), null);
  };
  await Promise.all([...setters.map(set), ...askers.map(hear)]);
  expect(wrong).toEqual([]);
});

test('no server is opened for who has set what it asks for', async () => {
  const [a, b] = [await connect(), await connect()];
  for (const client of [a, b]) await client.query("SELECT set_config('app.cheap', 'x', true)");
  const pids = new Set<string>();
  for (let i = 0; i < 10; i++) {
    for (const client of [a, b]) {
      expect(await ask(client, 'app.cheap')).toBe('');
      pids.add(String((await client.query('SELECT pg_backend_pid() AS pid')).rows[0].pid));
    }
  }
  expect(pids.size).toBeLessThanOrEqual(2);
});

test('a client that leaves while its server is opened takes nothing along', async () => {
  const setter = await connect();
  for (let i = 0; i < 5; i++) {
    const leaver = await connect();
    const pending = ask(leaver, `app.leave${i}`).catch(() => null);
    await setter.query(`SET app.leave${i} = 'x'`);
    await pending;
    const gone = ask(leaver, `app.leave${i}`).catch(() => null);
    (leaver as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy();
    await Promise.race([gone, leaver.end().catch(() => undefined)]);
  }
  await until('both servers to serve', async () => {
    const two = await Promise.all([connect(), connect()]);
    await Promise.all(two.map((client) => client.query('BEGIN')));
    await Promise.all(two.map((client) => client.query('COMMIT')));
    await Promise.all(two.map((client) => client.end()));
    return true;
  });
});
