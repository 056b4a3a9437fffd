/**
 * Reads for which no replica is far enough may use half of the primary; the others wait until one of those has its answer.
 * Whoever is woken may by then go to a replica: those behind it are woken all the same.
 */
import type pg from 'pg';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { closeClients, connectPg, startWeir, useCluster, users, weirConfig } from './harness/index.ts';
import type { WeirProcess } from './harness/index.ts';

const cluster = useCluster();
let weir: WeirProcess;
let database: string;
const rounds = 60;

beforeAll(async () => {
  database = await cluster.createDatabase();
  await cluster.query(`SET ROLE ${users.app}; CREATE TABLE counter (n int); INSERT INTO counter VALUES (0)`, {
    database,
  });
  await cluster.waitForReplicas();
  const pool = { default_pool_size: 3, max_pool_size: 3, resize: { enabled: false }, query_wait_timeout: '2s' };
  const more = { auth: { type: 'trust' }, cache: { enabled: false }, ...pool };
  weir = await startWeir(weirConfig(cluster, { database }, more));
});
afterEach(closeClients);
afterAll(async () => {
  await weir.stop();
  await cluster.dropDatabase(database);
});

const connect = (): Promise<pg.Client> => connectPg(weir.url({ database }));
const readOf = async (client: pg.Client): Promise<number | undefined> =>
  (await client.query<{ n: number }>('SELECT n FROM counter')).rows[0]?.n;

test('behind each write many read at once, and nobody waits for ever', async () => {
  const clients = await Promise.all(Array.from({ length: 16 }, connect));
  const writer = await connect();
  for (let i = 1; i <= rounds; i++) {
    await writer.query('UPDATE counter SET n = n + 1');
    // A write of nothing: the session must not go behind it, and when its LSN is known is another moment for each.
    const reads = clients.map(async (client, at) => {
      if (at % 3 === i % 3) await client.query('SELECT pg_advisory_unlock_all()');
      return [await readOf(client), await readOf(client)];
    });
    expect(await Promise.all(reads)).toEqual(clients.map(() => [i, i]));
  }
  const { body } = await weir.http();
  expect(Number(/^weir_queries_total\{[^}]*route="replica"[^}]*\} (\d+)/m.exec(body)?.[1] ?? 0)).toBeGreaterThan(0);
}, 120_000);
