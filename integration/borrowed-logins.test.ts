/**
 * A configuration without a log-in for the monitor, against real PostgreSQL: the first client's own log-in does, whatever
 * it is, and from then on Weir routes and caches. One that is refused later gives way to another; what a role has set for
 * itself changes nothing for others.
 */
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  PASSWORD,
  closeClients,
  connectPg,
  currentRun,
  lastRoute,
  runProgram,
  startCluster,
  startWeir,
  until,
  users,
  weirConfig,
  workersOfTests,
} from './harness/index.ts';
import type { Cluster, PgNode, WeirConfig, WeirProcess } from './harness/index.ts';

let cluster: Cluster;
const weirs: WeirProcess[] = [];

beforeAll(async () => {
  cluster = await startCluster({ settings: { log_statement: 'all' } });
  await cluster.query('CREATE TABLE seen AS SELECT 1 AS n; GRANT ALL ON seen TO public');
});
beforeEach(() => cluster.waitForReplicas());
afterEach(async () => {
  await closeClients();
  for (const weir of weirs.splice(0)) await weir.stop();
});
afterAll(() => cluster.stop());

async function serving(more: WeirConfig, from = cluster): Promise<WeirProcess> {
  const config = weirConfig(from, { serverUser: null }, { cache: { enabled: true }, ...more });
  const weir = await startWeir(config);
  weirs.push(weir);
  return weir;
}

interface NodeRow {
  readonly name: string;
  readonly role: string;
  readonly problem: string | null;
}

async function nodesOf(weir: WeirProcess): Promise<NodeRow[]> {
  const console = await connectPg(weir.adminUrl());
  const { rows } = await console.query<NodeRow>('SHOW NODES');
  await console.end();
  return rows;
}

/** Whom the monitor is logged in as. */
async function monitors(node: PgNode): Promise<string[]> {
  const rows = await cluster.query<{ usename: string }>(
    `SELECT usename FROM pg_stat_activity WHERE application_name = 'weir monitor' ORDER BY 1`,
    { node },
  );
  return [...new Set(rows.map(({ usename }) => usename))];
}

async function routeOf(client: pg.Client, sql = 'SELECT n FROM seen'): Promise<string> {
  await client.query(sql);
  return lastRoute(client);
}

async function secretOf(user: string): Promise<string> {
  const rows = await cluster.query<{ secret: string }>(
    'SELECT rolpassword AS secret FROM pg_authid WHERE rolname = $1',
    {
      values: [user],
    },
  );
  return rows[0]!.secret;
}

function authFile(secrets: Readonly<Record<string, string>>): string {
  const file = join(mkdtempSync(join(currentRun().dir, 'auth-')), 'users.txt');
  const lines = Object.entries({ weir: PASSWORD, ...secrets }).map(([user, secret]) => `"${user}" "${secret}"\n`);
  writeFileSync(file, lines.join(''), { mode: 0o600 });
  return file;
}

const uncached = '/* weir: cache=off */ SELECT n FROM seen';

const count = (text: string, what: string): number => text.split(what).length - 1;

/** A line in front of pg_hba.conf of every node. */
class HbaLine {
  private readonly line: string;
  private readonly nodes: readonly PgNode[];
  private readonly reload: (node: PgNode) => Promise<unknown>;

  constructor(of: Cluster, line: string) {
    this.line = `${line}\n`;
    this.nodes = of.nodes;
    this.reload = (node) => of.query('SELECT pg_reload_conf()', { node });
  }

  add(): Promise<void> {
    return this.rewrite((text) => this.line + text);
  }

  remove(): Promise<void> {
    return this.rewrite((text) => text.replace(this.line, ''));
  }

  private async rewrite(change: (text: string) => string): Promise<void> {
    for (const node of this.nodes) {
      const file = join(node.dataDir, 'pg_hba.conf');
      writeFileSync(file, change(readFileSync(file, 'utf8')));
      await this.reload(node);
    }
  }
}

const weirBin = fileURLToPath(new URL('../bin/weir.js', import.meta.url));

type Kind = readonly [what: string, user: string, auth: () => Promise<WeirConfig>];
const kinds: readonly Kind[] = [
  ['SCRAM, the password in auth.file', users.app, async () => ({ type: 'scram-sha-256' })],
  [
    "SCRAM, the server's verifier in auth.file",
    users.app,
    async () => ({ type: 'scram-sha-256', file: authFile({ app: await secretOf(users.app) }) }),
  ],
  ['MD5, the password in auth.file', users.md5, async () => ({ type: 'md5' })],
  [
    "MD5, the server's hash in auth.file",
    users.md5,
    async () => ({ type: 'md5', file: authFile({ [users.md5]: await secretOf(users.md5) }) }),
  ],
  ['a password in plain text', users.password, async () => ({ type: 'scram-sha-256' })],
  ['trust', users.trust, async () => ({ type: 'trust' })],
];

describe('with the log-in of the first client', () => {
  test.each(kinds)('%s', async (_what, user, auth) => {
    const weir = await serving({ auth: await auth() });
    for (const node of cluster.nodes) expect(await monitors(node)).toEqual([]);
    expect((await nodesOf(weir))[0]!.problem).toContain('no log-in for the monitor');

    const client = await connectPg(weir.url({ user }));
    await until('a read to go to a replica', async () => /^replica/.test(await routeOf(client, uncached)));
    await until('the cache to answer', async () => /^cache; hit/.test(await routeOf(client)));
    for (const node of cluster.nodes) expect(await monitors(node)).toEqual([user]);
    const nodes = await nodesOf(weir);
    expect(nodes.map(({ role, problem }) => [role, problem ?? ''])).toEqual([
      ['primary', ''],
      ['replica', ''],
      ['replica', ''],
    ]);
    const { body } = await weir.http();
    expect(body).toMatch(/weir_cache_hits_total [1-9]/);
    expect(body).toMatch(/weir_replica_lag_seconds\{[^}]*\} 0(\.\d+)?\n/);
    // Reads that are known to be reads leave nothing behind that has to be cleaned.
    const resets = (): number => cluster.nodes.reduce((sum, node) => sum + count(node.log, 'DISCARD ALL'), 0);
    const before = resets();
    for (let i = 0; i < 20; i++)
      expect(await routeOf(client, `/* weir: cache=off */ SELECT n + ${i} FROM seen`)).toMatch(/^replica/);
    expect(resets()).toBe(before);
  });
});

describe('where nothing can be asked', () => {
  test('it is said once, with the line to add: log, SHOW NODES, /readyz, weir check', async () => {
    const weir = await serving({});
    const line = 'set "auth": {"user": "NAME"} with a line "NAME" "PASSWORD" in auth.file, or user:password in the URL';
    const told = (): unknown[] => weir.logs.filter(({ msg }) => String(msg).includes(line));
    await until('it to be said', () => told().length > 0);
    for (const { problem } of await nodesOf(weir)) expect(problem).toContain(line);
    const noted = async (): Promise<string[]> => {
      const { status, body } = await weir.http('/readyz');
      expect(status).toBe(200);
      return (JSON.parse(body) as { notes: string[] }).notes;
    };
    const notes = await noted();
    expect(notes).toEqual([expect.stringMatching(/^primary, replica1, replica2: no log-in for the monitor/)]);
    expect(notes[0]).toContain(line);
    // Each worker says it.
    const workers = workersOfTests() ?? 1;
    await until('all to have said it', () => told().length >= workers);
    expect(told()).toHaveLength(workers);
    const check = await runProgram(process.execPath, [weirBin, 'check', '--config', weir.configFile]);
    expect(check.code).toBe(0);
    expect(count(check.stdout, line)).toBe(1);

    const client = await connectPg(weir.url({ user: users.app }));
    await until('a read to go to a replica', async () => /^replica/.test(await routeOf(client, uncached)));
    // One replica may take reads before it is known how far the other is.
    await until('nothing to be noted any more', async () => (await noted()).length === 0);
    expect(told()).toHaveLength(workers);
  });
});

describe('a log-in that is used', () => {
  afterEach(async () => {
    await cluster.query(`
      ALTER ROLE app LOGIN PASSWORD '${PASSWORD}'; ALTER ROLE app RESET ALL;
      DROP SCHEMA IF EXISTS evil CASCADE; DROP ROLE IF EXISTS passing`);
  });

  const asked = async (weir: WeirProcess, user: string): Promise<pg.Client> => {
    const client = await connectPg(weir.url({ user }));
    await until('a read to go to a replica', async () => /^replica/.test(await routeOf(client, uncached)));
    return client;
  };

  test.each([
    ['may not log in any more', 'ALTER ROLE app NOLOGIN'],
    ['has another password', `ALTER ROLE app PASSWORD 'another'`],
  ])('gives way when its role %s', async (_what, change) => {
    const weir = await serving({ server_lifetime: '1s' });
    const first = await asked(weir, users.app);
    const second = await asked(weir, users.app2);
    for (const node of cluster.nodes) expect(await monitors(node)).toContain(users.app);
    await cluster.query(change);
    await cluster.waitForReplicas();
    // Its pool hears of it, at its next log-in.
    const isRefused = (): Promise<boolean> =>
      first.query('UPDATE seen SET n = n').then(
        () => false,
        () => true,
      );
    await until('it to be refused', isRefused, { intervalMs: 200 });
    for (const node of cluster.nodes)
      await until('the other log-in', async () => (await monitors(node)).join() === users.app2);
    // With several workers, that of this client may hear of it later.
    if (workersOfTests() !== undefined)
      await until('a read to go to a replica', async () => /^(replica|cache)/.test(await routeOf(second)));
    expect(await routeOf(second)).toMatch(/^(replica|cache)/);
  });

  test('gives way when the monitor is refused, as when its role is gone', async () => {
    const weir = await serving({ auth: { type: 'trust' } });
    await cluster.query('CREATE ROLE passing LOGIN');
    const hba = new HbaLine(cluster, 'host all passing 127.0.0.1/32 trust');
    try {
      await hba.add();
      await cluster.waitForReplicas();
      const passing = await asked(weir, 'passing');
      const staying = await asked(weir, users.trust);
      for (const node of cluster.nodes) expect(await monitors(node)).toEqual(['passing']);
      await passing.end();
      await cluster.query('DROP ROLE passing');
      await cluster.waitForReplicas();
      for (const node of cluster.nodes)
        await cluster.query(
          `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'weir monitor'`,
          { node },
        );
      for (const node of cluster.nodes)
        await until('the other log-in', async () => (await monitors(node)).join() === users.trust);
      await until('a read to go to a replica', async () => /^(replica|cache)/.test(await routeOf(staying)));
    } finally {
      await hba.remove();
    }
  });

  test('is not led by what its role has set for itself', async () => {
    await cluster.query(`
      CREATE SCHEMA evil AUTHORIZATION app; SET ROLE app;
      CREATE FUNCTION evil.pg_is_in_recovery() RETURNS bool LANGUAGE sql AS 'SELECT false';
      CREATE FUNCTION evil.pg_current_wal_insert_lsn() RETURNS pg_lsn LANGUAGE sql AS $$ SELECT '0/1'::pg_lsn $$;
      CREATE FUNCTION evil.pg_last_wal_replay_lsn() RETURNS pg_lsn LANGUAGE sql AS $$ SELECT 'FFFF/0'::pg_lsn $$;
      CREATE FUNCTION evil.current_setting(text) RETURNS text LANGUAGE sql AS $$ SELECT '1' $$;
      CREATE TABLE evil.seen AS SELECT 666 AS n; GRANT USAGE ON SCHEMA evil TO PUBLIC; GRANT ALL ON evil.seen TO PUBLIC;
      ALTER ROLE app SET search_path = evil, pg_catalog, public;
      ALTER ROLE app SET standard_conforming_strings = off;
      ALTER ROLE app SET transform_null_equals = on;
      ALTER ROLE app SET default_transaction_isolation = serializable`);
    await cluster.waitForReplicas();
    const weir = await serving({});
    const tenant = await connectPg(weir.url({ user: users.app }));
    await until('the monitor to use it', async () => (await monitors(cluster.replicas[0]!)).join() === users.app);
    await until('all nodes to be known', async () => (await nodesOf(weir)).every(({ problem }) => !problem));
    expect((await nodesOf(weir)).map(({ role }) => role)).toEqual(['primary', 'replica', 'replica']);
    // Names of others mean what they mean to others, and are cached as what they are.
    const other = await connectPg(weir.url({ user: users.app2 }));
    await until('the cache to answer', async () => /^cache; hit/.test(await routeOf(other)));
    expect((await other.query('SELECT n FROM seen')).rows).toEqual([{ n: 1 }]);
    expect((await tenant.query('/* weir: route=primary */ SELECT n FROM seen')).rows).toEqual([{ n: 666 }]);
    await cluster.query('UPDATE evil.seen SET n = 667');
    const writer = await connectPg(weir.url({ user: users.app2 }));
    await writer.query('UPDATE seen SET n = n');
    expect((await other.query('SELECT n FROM seen')).rows).toEqual([{ n: 1 }]);
  });

  test('is not ended by the time limits of its role', async () => {
    await cluster.query('ALTER ROLE app SET statement_timeout = 1; ALTER ROLE app SET lock_timeout = 1');
    await cluster.waitForReplicas();
    const weir = await serving({});
    await connectPg(weir.url({ user: users.app }));
    await until('all nodes to be known', async () => (await nodesOf(weir)).every(({ problem }) => !problem));
    for (const node of cluster.nodes) expect(await monitors(node)).toEqual([users.app]);
    const other = await connectPg(weir.url({ user: users.app2 }));
    await until('a read to go to a replica', async () => /^replica/.test(await routeOf(other, uncached)));
    for (const node of cluster.nodes) expect(await monitors(node)).toContain(users.app);
  });

  test('goes to the servers of its own database and no others', async () => {
    const elsewhere = await startCluster({ replicas: 0 });
    try {
      const config = weirConfig(cluster, { serverUser: null });
      const { postgres: own } = config['databases'] as Record<string, unknown>;
      const other = { primary: { url: `postgres://127.0.0.1:${elsewhere.primary.port}/postgres`, name: 'other' } };
      const weir = await serving({ databases: { postgres: own, other } });
      await asked(weir, users.app);
      const sql = `SELECT 1 FROM pg_stat_activity WHERE application_name LIKE 'weir%' OR usename = 'app'`;
      expect(await elsewhere.query(sql)).toEqual([]);
      expect(elsewhere.primary.log).not.toContain('app@');
      const client = await connectPg(weir.url({ user: users.app, database: 'other' }));
      await client.query('SELECT 1');
      await until('its own client to be good for it', async () => (await elsewhere.query(sql)).length > 0);
    } finally {
      await closeClients();
      for (const weir of weirs.splice(0)) await weir.stop();
      await elsewhere.stop();
    }
  });

  test('of sixty databases on one server makes one connection, and a bounded number for catalogs', async () => {
    const { primary } = cluster;
    const at = `postgres://127.0.0.1:${primary.port}/postgres`;
    const names = Array.from({ length: 60 }, (_, i) => `many${i}`);
    const databases = Object.fromEntries(names.map((name) => [name, { primary: { url: at, name: 'primary' } }]));
    const weir = await serving({ databases: { postgres: { primary: { url: at } }, ...databases } });
    const logins = await Promise.all(
      names.map(async (database) => {
        const client = await connectPg(weir.url({ user: users.app, database }));
        await client.query('SELECT n FROM seen');
        return client;
      }),
    );
    const own = async (): Promise<number> =>
      (await cluster.query(`SELECT 1 FROM pg_stat_activity WHERE application_name = 'weir monitor'`)).length;
    let most = 0;
    const known = async (client: pg.Client): Promise<boolean> => {
      most = Math.max(most, await own());
      return !/catalog/.test(await routeOf(client));
    };
    for (const client of logins) await until('its catalog to be known', () => known(client));
    expect(most).toBeGreaterThan(0);
    expect(most).toBeLessThanOrEqual(6);
  });
});
