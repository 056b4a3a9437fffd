/**
 * Several workers ask each server once: one monitor per server, one catalog connection per database, also after the worker
 * that asks for all was killed; and every worker sees what the servers do. Fails when workers probe for themselves, or when
 * one of them does not hear of LSNs, DDL or a new primary.
 */
import type pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import {
  closeClients,
  connectPg,
  lastRoute,
  startCluster,
  startWeir,
  until,
  users,
  weirConfig,
} from './harness/index.ts';
import type { Cluster, PgNode, WeirProcess } from './harness/index.ts';

const WORKERS = 3;
let cluster: Cluster;
let weir: WeirProcess;

const start = (serverUser: string | null): Promise<WeirProcess> =>
  startWeir(weirConfig(cluster, { serverUser }, { workers: WORKERS }));

beforeAll(async () => {
  cluster = await startCluster();
  await cluster.query(
    'CREATE TABLE t (n int); INSERT INTO t VALUES (0); GRANT ALL ON t TO PUBLIC; GRANT CREATE ON SCHEMA public TO PUBLIC',
  );
  await cluster.waitForReplicas();
});
afterEach(async () => {
  await closeClients();
  await weir.stop();
});
afterAll(() => cluster.stop());

/** Weir's own connections to a node: [at the nodes, for catalogs] cannot be told apart by name, their number can. */
async function own(node: PgNode): Promise<number> {
  const sql = `SELECT count(*)::int AS n FROM pg_stat_activity WHERE application_name = 'weir monitor'`;
  return (await cluster.query<{ n: number }>(sql, { node }))[0]!.n;
}

/** New connections go to the worker with the fewest: so many reach all. */
const everywhere = (): Promise<pg.Client[]> =>
  Promise.all(Array.from({ length: 2 * WORKERS }, () => connectPg(weir.url())));

async function servedByReplica(client: pg.Client): Promise<void> {
  await until('a replica to serve', async () => {
    await client.query('SELECT n FROM t');
    return (await lastRoute(client)).startsWith('replica');
  });
}

const lines = (event: string): Record<string, unknown>[] => weir.logs.filter((line) => line['event'] === event);

async function killLead(): Promise<void> {
  const before = lines('lead').length;
  const number = lines('lead').at(-1)!['worker'];
  const { pid } = lines('worker_started').findLast(({ worker }) => worker === number)!;
  process.kill(pid as number, 'SIGKILL');
  await until('another lead', () => lines('lead').length > before);
}

describe.each([users.app, null])('as %s', (serverUser) => {
  test('one monitor per server, one catalog connection, before and after the lead was killed', async () => {
    weir = await start(serverUser);
    for (const client of await everywhere()) await servedByReplica(client);
    const [primary, ...replicas] = cluster.nodes as [PgNode, ...PgNode[]];
    for (const node of replicas) expect(await own(node)).toBe(1);
    expect(await own(primary)).toBe(2);
    await killLead();
    await closeClients();
    await until('all workers to be there', () => lines('worker_ready').length === WORKERS + 1);
    for (const client of await everywhere()) await servedByReplica(client);
    await until('one monitor again', async () => (await own(replicas[0]!)) === 1 && (await own(replicas[1]!)) === 1);
    await until('one catalog connection again', async () => (await own(primary)) === 2);
    expect(lines('unexpected_error')).toEqual([]);
  });
});

test('every worker: clients read what they wrote, from replicas', async () => {
  weir = await start(users.app);
  const clients = await everywhere();
  for (const client of clients) await servedByReplica(client);
  await Promise.all(
    clients.map(async (client, i) => {
      await client.query(`CREATE TABLE own_${i} (n int)`);
      for (let n = 0; n < 40; n++) {
        await client.query(`INSERT INTO own_${i} VALUES ($1)`, [n]);
        const { rows } = await client.query<{ n: number }>(`SELECT max(n) AS n FROM own_${i}`);
        expect(rows[0]!.n).toBe(n);
      }
    }),
  );
  for (const client of clients) await servedByReplica(client);
});

test('every worker notices DDL of another', async () => {
  weir = await start(users.app);
  const clients = await everywhere();
  for (const client of clients) await servedByReplica(client);
  await clients[0]!.query('CREATE TABLE later AS SELECT 7 AS n');
  for (const client of clients) {
    await until('the new table to be read from a replica', async () => {
      const { rows } = await client.query<{ n: number }>('SELECT n FROM later');
      expect(rows[0]!.n).toBe(7);
      return (await lastRoute(client)).startsWith('replica');
    });
  }
});

test('every worker notices a failover', async () => {
  weir = await start(users.app);
  for (const client of await everywhere()) await servedByReplica(client);
  await closeClients();
  const [old, next] = cluster.nodes as [PgNode, PgNode];
  await cluster.kill(old);
  await cluster.promote(next);
  const clients = await everywhere();
  for (const client of clients) {
    await until('the new primary to be written to', () =>
      client.query('UPDATE t SET n = n + 1').then(
        () => true,
        () => false,
      ),
    );
    expect(await lastRoute(client)).toMatch(/replica1|primary/);
  }
});
