/**
 * Weir's own connections: one monitor per server however many databases it serves, catalogs only of databases that are
 * used, and no storm where nobody can log in. Counted on the servers.
 */
import { readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { closeClients, connectPg, pgUrl, startCluster, startWeir, until, users, weirConfig } from './harness/index.ts';
import type { Cluster, PgNode, WeirConfig, WeirProcess } from './harness/index.ts';

const COUNT = 60;
const names = Array.from({ length: COUNT }, (_, i) => `many${i}`);
/** What the entries are called on the servers: to Weir every entry is a database of its own. */
const real = ['one', 'two', 'three'];
let cluster: Cluster;
const weirs: WeirProcess[] = [];

beforeAll(async () => {
  cluster = await startCluster();
  for (const name of real) {
    await cluster.query(`CREATE DATABASE ${name}`);
    const client = await connectPg(pgUrl(cluster.primary, { user: 'postgres', database: name }));
    await client.query('CREATE TABLE t AS SELECT 1 AS n; GRANT ALL ON t TO public');
    await client.end();
  }
  await cluster.waitForReplicas();
});
afterEach(async () => {
  await closeClients();
  for (const weir of weirs.splice(0)) await weir.stop();
});
afterAll(() => cluster.stop());

const serving = async (config: WeirConfig): Promise<WeirProcess> => {
  const weir = await startWeir(config);
  weirs.push(weir);
  return weir;
};

function entry(database: string, user: string | null): WeirConfig {
  const at = (node: PgNode): string =>
    user === null ? `postgres://127.0.0.1:${node.port}/${database}` : pgUrl(node, { user, database });
  return {
    primary: { url: at(cluster.primary), name: 'primary' },
    replicas: cluster.replicas.map((node, i) => ({ url: at(node), name: `replica${i + 1}` })),
    min_pool_size: 0,
  };
}

const many = (user: string | null): WeirConfig =>
  weirConfig(
    cluster,
    {},
    { databases: Object.fromEntries(names.map((name, i) => [name, entry(real[i % real.length]!, user)])) },
  );

/** Weir's own connections to a node, by what they are for. */
async function own(node: PgNode): Promise<number> {
  const rows = await cluster.query<{ n: number }>(
    `SELECT count(*)::int AS n FROM pg_stat_activity WHERE application_name LIKE 'weir%'`,
    { node },
  );
  return rows[0]!.n;
}

async function most(during: Promise<unknown>): Promise<number> {
  let isOver = false;
  let worst = 0;
  const done = during.finally(() => (isOver = true));
  while (!isOver) for (const node of cluster.nodes) worst = Math.max(worst, await own(node));
  await done;
  return worst;
}

async function routeOf(weir: WeirProcess, database: string): Promise<string> {
  const client = await connectPg(weir.url({ database }));
  try {
    await client.query('SELECT n FROM t');
    const { rows } = await client.query<{ last_route: string }>('SHOW weir.last_route');
    return Object.values(rows[0]!)[0] as string;
  } finally {
    await client.end();
  }
}

describe(`${COUNT} databases on three servers`, () => {
  test('idle: one connection to each server', async () => {
    const weir = await serving(many(users.app));
    await until('every monitor to be there', async () => (await own(cluster.replicas[1]!)) === 1);
    for (const node of cluster.nodes) expect(await own(node)).toBe(1);
    // And what is monitored works: the first read of the first client goes to a replica.
    expect(await routeOf(weir, 'many0')).toMatch(/replica/);
    expect(await own(cluster.primary)).toBeLessThanOrEqual(2);
  });

  test('busy: a bounded number, and every database is served', async () => {
    const weir = await serving(many(users.app));
    const clients = Promise.all(
      names.map(async (database) => {
        const client = await connectPg(weir.url({ database }));
        for (let i = 0; i < 20; i++) await client.query('SELECT pg_sleep(0.1)');
        await client.end();
      }),
    );
    expect(await most(clients)).toBeLessThanOrEqual(6);
  });
});

describe('min_pool_size', () => {
  /** Servers of pools. */
  const pooled = async (node: PgNode): Promise<number> => {
    const sql = `SELECT 1 FROM pg_stat_activity WHERE usename = '${users.app}' AND application_name NOT LIKE 'weir%'`;
    return (await cluster.query(sql, { node })).length;
  };

  test('is there from the start where the URL says whom to log in as, and comes back', async () => {
    const one = { ...entry('one', users.app), min_pool_size: 3 };
    const weir = await serving({ ...weirConfig(cluster), databases: { one } });
    for (const node of cluster.nodes) await until('three servers', async () => (await pooled(node)) === 3);
    await cluster.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '${users.app}'`);
    await until('three servers again', async () => (await pooled(cluster.primary)) === 3);
    // A reload fills up, too.
    const databases = { one: { ...one, min_pool_size: 5 } };
    const file = JSON.parse(readFileSync(weir.configFile, 'utf8')) as object;
    weir.rewriteConfig({ ...file, databases });
    weir.signal('SIGHUP');
    for (const node of cluster.nodes) await until('five servers', async () => (await pooled(node)) === 5);
  });

  test('waits for the first client where that says it', async () => {
    const one = { ...entry('one', null), min_pool_size: 3 };
    const config = weirConfig(cluster, {}, { auth: { user: users.monitor } });
    const weir = await serving({ ...config, databases: { one } });
    await until('the monitor to be there', async () => (await own(cluster.primary)) > 0);
    for (const node of cluster.nodes) expect(await pooled(node)).toBe(0);
    await (await connectPg(weir.url({ user: users.app, database: 'one' }))).query('SELECT n FROM t');
    await until('three servers', async () => (await pooled(cluster.primary)) === 3);
  });
});
