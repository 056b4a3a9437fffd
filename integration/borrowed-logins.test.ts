/**
 * A configuration without a log-in for the monitor, against real PostgreSQL: the first client's own log-in does, whatever
 * it is, and from then on Weir routes and caches. One that is refused later gives way to another; what a role has set for
 * itself changes nothing for others.
 */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  PASSWORD,
  closeClients,
  connectPg,
  currentRun,
  startCluster,
  startWeir,
  until,
  users,
  weirConfig,
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
  const { rows } = await client.query<Record<string, string>>('SHOW weir.last_route');
  return Object.values(rows[0]!)[0]!;
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

const count = (text: string, what: string): number => text.split(what).length - 1;

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
    await until('a read to go to a replica', async () => /^replica/.test(await routeOf(client)));
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
      expect(await routeOf(client, `SELECT n + ${i} FROM seen /* weir: cache=off */`)).toMatch(/^replica/);
    expect(resets()).toBe(before);
  });
});
