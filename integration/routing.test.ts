/**
 * Where real clients' statements go through a whole Weir, and what they see there: own writes always, reads never back,
 * replicas used whenever they are far enough, the primary when they are not. Pauses replay on a cluster of its own.
 */
import type pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import {
  closeClients,
  connectPg,
  connectPostgresJs,
  startCluster,
  startWeirInProcess,
  weirConfig,
} from './harness/index.ts';
import type { Cluster, WeirConfig, WeirInProcess } from './harness/index.ts';

let cluster: Cluster;
const weirs: WeirInProcess[] = [];

beforeAll(async () => {
  cluster = await startCluster();
  await cluster.query(`
    CREATE TABLE counters (id int PRIMARY KEY, n int NOT NULL);
    INSERT INTO counters SELECT i, 0 FROM generate_series(1, 20) AS i;
    CREATE TABLE quiet AS SELECT 1 AS one;
    GRANT ALL ON ALL TABLES IN SCHEMA public TO PUBLIC;`);
  await cluster.waitForReplicas();
});
afterEach(async () => {
  for (const replica of cluster.replicas) await cluster.resumeReplay(replica);
  await closeClients();
  await Promise.all(weirs.splice(0).map((weir) => weir.stop()));
});
afterAll(() => cluster.stop());

async function start(more: WeirConfig = {}): Promise<WeirInProcess> {
  const weir = await startWeirInProcess(weirConfig(cluster, {}, more));
  weirs.push(weir);
  return weir;
}

async function lastRoute(client: pg.Client): Promise<string> {
  const { rows } = await client.query<Record<string, string>>('SHOW weir.last_route');
  return Object.values(rows[0]!)[0]!;
}

async function read(client: pg.Client, id = 1): Promise<{ n: number; route: string }> {
  const { rows } = await client.query<{ n: number }>('SELECT n FROM counters WHERE id = $1', [id]);
  return { n: rows[0]!.n, route: await lastRoute(client) };
}

describe('the very first read', () => {
  test('goes to a replica as soon as Weir says that it is ready', async () => {
    const weir = await start();
    const client = await connectPg(weir.url());
    expect((await read(client)).route).toMatch(/^replica/);
  });
});

describe('a busy session', () => {
  test('goes back to the replicas after its write, although it never pauses', async () => {
    const weir = await start();
    const sql = connectPostgresJs(weir.url());
    await sql`UPDATE counters SET n = 1 WHERE id = 2`;
    let routed = '';
    const isOver = performance.now() + 10_000;
    while (!routed.startsWith('replica') && performance.now() < isOver) {
      for (let i = 0; i < 50; i++) await sql`SELECT n FROM counters WHERE id = 2`;
      routed = String(Object.values((await sql`SHOW weir.last_route`.simple())[0]!)[0]);
    }
    expect(routed).toMatch(/^replica/);
  });
});
