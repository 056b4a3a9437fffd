/**
 * Replicas that come and go while clients read and write: a new one takes reads soon, one that leaves costs no failed
 * statement, what cannot be a replica is refused with the reason, and a reload keeps what operators have done.
 */
import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type pg from 'pg';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import {
  askConsole,
  closeClients,
  connectPg,
  currentRun,
  freePort,
  lastRoute,
  linesOf,
  PASSWORD,
  pgUrl,
  pidOf,
  startCluster,
  startClusterWithTable,
  startWeir,
  startWorkers,
  until,
  users,
  weirConfig,
  workersOf,
} from './harness/index.ts';
import { openTemplate } from './harness/template.ts';
import type { Cluster, PgNode, WeirConfig, WeirProcess } from './harness/index.ts';

const DATABASE = 'postgres';
let own: Cluster;
let weir: WeirProcess;

beforeAll(async () => {
  own = await startClusterWithTable();
});
afterEach(async () => {
  await closeClients();
  await weir.stop();
});
afterAll(() => own.stop());

const one = (): PgNode => own.replicas[0]!;
const two = (): PgNode => own.replicas[1]!;
const urlOf = (node: { port: number }): string => pgUrl(node, { user: users.app, database: DATABASE });

/** With the first replica only. */
async function start(workers: number, more: WeirConfig = {}): Promise<void> {
  const config = weirConfig(own, { replicas: [one()] }, { routing: { load_balance_hosts: 'random' }, ...more });
  weir = workers > 1 ? await startWorkers(workers, config) : await startWeir(config);
}

interface NodeRow {
  readonly node: string;
  readonly state: string;
  readonly source: string;
  readonly zone: string | null;
  readonly weight: number;
}

const nodesNow = (): Promise<NodeRow[]> => askConsole<NodeRow & pg.QueryResultRow>(weir, 'SHOW NODES');
const namesNow = async (): Promise<string[]> => (await nodesNow()).map(({ node }) => node);

const add = (node: { port: number; name: string }, more = ''): Promise<unknown> =>
  askConsole(weir, `NODE ADD ${DATABASE} '${urlOf(node)}' NAME ${node.name} ${more}`);
const remove = (name: string): Promise<unknown> => askConsole(weir, `NODE REMOVE ${DATABASE} ${name}`);

/**
 * Clients that read, write, and read in transactions until it is stopped. isMovable: without what must fail if a server is shut
 * down, which is a transaction that has begun there.
 */
class Load {
  private readonly isMovable: boolean;
  readonly errors: unknown[] = [];
  statements = 0;
  private isOver = false;
  private readonly loops: Promise<void>[] = [];

  constructor({ isMovable = false } = {}) {
    this.isMovable = isMovable;
  }

  async begin(clients: number): Promise<void> {
    for (let number = 0; number < clients; number++) {
      const client = await connectPg(weir.url({ database: DATABASE, user: users.app }));
      this.loops.push(this.loop(client, number));
    }
  }

  private async loop(client: pg.Client, number: number): Promise<void> {
    for (let round = 0; !this.isOver; round++) {
      try {
        await this.one(client, number, round);
      } catch (error) {
        this.errors.push(error);
        return;
      }
    }
  }

  private async one(client: pg.Client, number: number, round: number): Promise<void> {
    if (number === 0) await client.query('UPDATE t SET n = n');
    else if (number === 1 && !this.isMovable) {
      await client.query('BEGIN READ ONLY');
      await client.query('SELECT n, pg_sleep(0.03) FROM t');
      await client.query('SELECT n FROM t');
      await client.query('COMMIT');
    } else if (number === 2) await client.query('SELECT n, pg_sleep(0.05) FROM t');
    else
      await client.query({
        text: 'SELECT n + $1::int AS n FROM t',
        values: [round],
        ...(number === 3 ? { name: 's' } : {}),
      });
    this.statements++;
  }

  async end(): Promise<void> {
    this.isOver = true;
    await Promise.all(this.loops);
  }
}

/** Connections of clients' users at the server itself that have read the table. */
async function readersAt(node: PgNode, cluster = own): Promise<number> {
  const sql = `SELECT count(*)::int AS n FROM pg_stat_activity WHERE usename = $1 AND query LIKE 'SELECT n%'`;
  return Number((await cluster.query(sql, { node, values: [users.app] }))[0]?.['n']);
}

const connectionsAt = async (node: PgNode): Promise<number> => {
  const sql = `SELECT count(*)::int AS n FROM pg_stat_activity WHERE usename = $1`;
  return Number((await own.query(sql, { node, values: [users.app] }))[0]?.['n']);
};

test.each([1, 3])('ten times a replica comes and goes under load, with %i workers', async (workers) => {
  await start(workers);
  const load = new Load();
  await load.begin(9);
  for (let round = 0; round < 10; round++) {
    await add(two(), `WEIGHT 2 ZONE eu-1b`);
    await until('it serves reads', async () => {
      if ((await readersAt(two())) > 0) return true;
      throw new Error(JSON.stringify([await nodesNow(), load.errors.map(String)]));
    });
    expect(await nodesNow()).toContainEqual(
      expect.objectContaining({ node: two().name, source: 'operator', zone: 'eu-1b', weight: 2 }),
    );
    await remove(two().name);
    await until('its connections are closed', async () => (await connectionsAt(two())) === 0);
    expect(await namesNow()).toEqual(['primary', one().name]);
  }
  await load.end();
  expect(load.errors).toEqual([]);
  expect(load.statements).toBeGreaterThan(100);
  const said = linesOf(weir, 'node_added');
  expect(said).toHaveLength(10 * workers);
  expect(said[0]).toMatchObject({ node: two().name, source: 'operator', reason: 'an operator added it' });
  expect(linesOf(weir, 'node_removed')).toHaveLength(10 * workers);
});

test('what cannot be a replica of the cluster is refused, with the reason, and never read', async () => {
  // With a template of its own, and so another system identifier.
  const bin = dirname(openTemplate(currentRun()).binaries.postgres);
  const other = await startCluster({ replicas: 1, bin });
  try {
    await start(1);
    const nobody = { name: 'nobody', port: await freePort() };
    const foreign = { name: 'foreign', port: other.replicas[0]!.port };
    await expect(add(foreign)).rejects.toThrow(/foreign was not added: belongs to another cluster \(system identifier/);
    await expect(add({ name: 'single', port: other.primary.port })).rejects.toThrow(/belongs to another cluster/);
    await expect(add(nobody)).rejects.toThrow(/nobody was not added: cannot connect: .*ECONNREFUSED/);
    await expect(add(one())).rejects.toThrow(/is a node of .* already: replica1/);
    await expect(add({ name: one().name, port: two().port })).rejects.toThrow(/the name replica1 is given to both/);
    await expect(askConsole(weir, `NODE ADD shop '${urlOf(two())}'`)).rejects.toThrow(/has no database "shop"/);
    await expect(askConsole(weir, `NODE ADD ${DATABASE} 'db2'`)).rejects.toThrow(/is not a URL/);
    await expect(remove('primary')).rejects.toThrow(/primary is the primary of postgres .* cannot be removed/);
    await expect(remove('db9')).rejects.toThrow(/has no node "db9"; it has primary, replica1/);
    expect(await namesNow()).toEqual(['primary', 'replica1']);
    expect(await connectionsAt(other.replicas[0]!)).toBe(0);
  } finally {
    await other.stop();
  }
});

test.each([1, 2])(
  'what operators have done survives a reload, unless the file says otherwise, with %i workers',
  async (workers) => {
    await start(workers);
    await add(two());
    await remove(one().name);
    expect(await namesNow()).toEqual(['primary', two().name]);
    // The file names replica1: it is back. It does not name replica2: that stays.
    await askConsole(weir, 'RELOAD');
    expect(await namesNow()).toEqual(['primary', one().name, two().name]);
    await remove(one().name);
    if (workers > 1) {
      // A worker that starts later has the same nodes.
      const pid = pidOf(weir, 1);
      process.kill(pid, 'SIGKILL');
      await until('another in its place', async () =>
        (await workersOf(weir)).every(({ state, pid: now }) => state === 'ready' && now !== pid),
      );
      const clients = await Promise.all(Array.from({ length: 6 }, () => connectPg(weir.adminUrl())));
      for (const client of clients) await client.query('SHOW NODES');
      const reader = await Promise.all(Array.from({ length: 4 }, () => connectPg(weir.url({ user: users.app }))));
      for (const client of reader)
        await until('its worker to read from the added one', async () => {
          await client.query('SELECT n FROM t');
          return (await lastRoute(client)).startsWith(two().name);
        });
    }
    const config = weirConfig(own, { replicas: [two()] }, workers > 1 ? { workers } : {});
    const before = JSON.parse(await readFile(weir.configFile, 'utf8')) as WeirConfig;
    weir.rewriteConfig({ ...before, databases: config['databases'] });
    const client = await connectPg(weir.adminUrl());
    const notices: string[] = [];
    client.on('notice', ({ message }) => notices.push(message ?? ''));
    await client.query('RELOAD');
    expect(notices.join()).toMatch(/node replica2 of postgres, which was added, is now as the configuration says/);
    expect((await nodesNow()).map(({ node, source }) => [node, source])).toEqual([
      ['primary', 'configuration'],
      ['replica2', 'configuration'],
    ]);
  },
);

const standbyOf = (cluster: Cluster, node: PgNode, name: string): Promise<unknown> =>
  cluster
    .query(
      `ALTER SYSTEM SET primary_conninfo = 'host=127.0.0.1 port=${cluster.primary.port} user=${users.replicator} ` +
        `password=${PASSWORD} application_name=${name} sslmode=disable'`,
      { node },
    )
    .then(() => cluster.query('SELECT pg_reload_conf()', { node }));

const withPort = (node: PgNode): string => `${node.name}:${node.port}`;
const foundNow = async (): Promise<string[]> =>
  (await nodesNow())
    .filter(({ source, state }) => source === 'replication' && state === 'up')
    .map(({ node }) => node)
    .sort();
const problemNow = async (): Promise<string> =>
  String(
    (await askConsole<pg.QueryResultRow>(weir, 'SHOW DATABASES')).find(({ name }) => name === DATABASE)?.['problem'],
  );

test.each([1, 3])('finds replicas in pg_stat_replication, and follows them, with %i workers', async (workers) => {
  const cluster = await startCluster();
  try {
    await cluster.query('CREATE TABLE t AS SELECT 1 AS n; ALTER TABLE t ADD UNIQUE (n); GRANT ALL ON t TO public');
    for (const node of cluster.replicas) await standbyOf(cluster, node, withPort(node));
    await cluster.query(`GRANT pg_monitor TO ${users.app}`);
    const routing = { auto_discover: true, discover_forget: '1s', load_balance_hosts: 'random' };
    const config = weirConfig(cluster, { replicas: [] }, { routing });
    weir = workers > 1 ? await startWorkers(workers, config) : await startWeir(config);
    await until('both to be found', async () => (await foundNow()).join() === 'replica1,replica2');
    const load = new Load({ isMovable: true });
    await load.begin(9);
    const [first, second] = cluster.replicas as [PgNode, PgNode];
    for (const node of [first, second])
      await until(`reads at ${node.name}`, async () => (await readersAt(node, cluster)) > 0);
    // A walsender that is gone for a moment takes nothing away.
    await cluster.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_replication`);
    expect(await foundNow()).toEqual(['replica1', 'replica2']);
    // Weir did not find it: it came, and went.
    await cluster.stopNode(second);
    await until('it is forgotten', async () => (await namesNow()).join() === 'primary,replica1');
    await cluster.start(second);
    await until('it is found again', async () => (await foundNow()).join() === 'replica1,replica2');
    await until('it serves reads', async () => (await readersAt(second, cluster)) > 0);
    await load.end();
    expect(load.errors).toEqual([]);
    expect(linesOf(weir, 'node_removed')[0]).toMatchObject({ node: 'replica2', source: 'replication' });

    // A failover to a node that was found.
    await cluster.kill(cluster.primary);
    await cluster.promote(first);
    const client = await connectPg(weir.url({ database: DATABASE, user: users.app }));
    await until('writes to the new primary', async () => {
      await client.query('UPDATE t SET n = n');
      return (await lastRoute(client)).startsWith('replica1');
    });
    await until('all to be nodes', async () => (await namesNow()).sort().join() === 'primary,replica1,replica2');
    await expect(remove('replica1')).rejects.toThrow(/no node "replica1"|is the primary of postgres/);
  } finally {
    await closeClients();
    await cluster.stop();
  }
});

test('what was found and cannot be used is shown, costs nothing, and one server is not two nodes', async () => {
  const cluster = await startCluster();
  try {
    const [first, second] = cluster.replicas as [PgNode, PgNode];
    await standbyOf(cluster, first, withPort(first));
    await standbyOf(cluster, second, 'replica2:1');
    const routing = { auto_discover: true };
    const localhost = { name: 'named', host: 'localhost', port: first.port };
    weir = await startWeir(weirConfig(cluster, { replicas: [localhost] }, { routing }));
    await until('what is missing to be said', async () => (await problemNow()).includes('grant pg_monitor'));
    await cluster.query(`GRANT pg_monitor TO ${users.app}`);
    await until('it is shown', async () => (await problemNow()).includes('found 127.0.0.1:1 in pg_stat_replication'));
    expect(await problemNow()).toMatch(/which is not used: cannot connect: .*ECONNREFUSED/);
    const client = await connectPg(weir.url({ database: DATABASE, user: users.app }));
    for (let round = 0; round < 50; round++) await client.query('SELECT 1');
    expect(await namesNow()).toEqual(['primary', 'named']);
    expect(await problemNow()).not.toContain(String(first.port));
    expect(linesOf(weir, 'discovery').filter(({ address }) => address !== undefined)).toHaveLength(1);
    // Mended: it is found.
    await standbyOf(cluster, second, withPort(second));
    await until('it is found', async () => (await foundNow()).join() === 'replica2');
    expect(await problemNow()).toBe('null');
    // Switched off: what was found goes.
    await askConsole(weir, 'SET routing.auto_discover = off');
    await until('it is gone', async () => (await namesNow()).join() === 'primary,named');
  } finally {
    await closeClients();
    await cluster.stop();
  }
});
