/**
 * routing.monitor: when-needed, as a pgbouncer.ini has it. A single server has the connections of clients only; it is asked when it
 * has failed, and until it is back. Fails if the monitor stays, or if a server that comes back is not found.
 */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import {
  Child,
  PASSWORD,
  closeClients,
  connectPg,
  currentRun,
  freePort,
  pgUrl,
  startCluster,
  until,
  users,
} from './harness/index.ts';
import type { Cluster } from './harness/index.ts';
import { checkoutDir } from './harness/run-dir.ts';

let own: Cluster;
let weir: Child;
let port = 0;

const url = (database: string, user: string = users.app): string => pgUrl({ port }, { user, database });

beforeAll(async () => {
  [own, port] = await Promise.all([startCluster({ replicas: 0 }), freePort()]);
  await own.query('CREATE TABLE kept AS SELECT 1 AS n');
  await own.query('GRANT SELECT ON kept TO PUBLIC');
  const dir = mkdtempSync(join(currentRun().dir, 'ini-'));
  writeFileSync(join(dir, 'users.txt'), [users.app, 'weir'].map((name) => `"${name}" "${PASSWORD}"\n`).join(''));
  writeFileSync(
    join(dir, 'p.ini'),
    `[databases]
postgres = host=127.0.0.1 port=${own.primary.port}
several = host=127.0.0.1,localhost port=${own.primary.port} dbname=postgres user=${users.app} password=${PASSWORD}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = users.txt
admin_users = weir
pool_mode = transaction
`,
  );
  const env = { ...process.env, WEIR_WORKERS: '1' };
  weir = new Child(currentRun(), process.execPath, [join(checkoutDir, 'bin/weir.js'), 'serve', 'p.ini'], {
    cwd: dir,
    env,
  });
  await until('Weir to listen', async () => {
    if (!weir.isRunning) throw new Error(`it has ended: ${weir.output}`);
    return (await nodeState().catch(() => undefined)) !== undefined;
  });
});
afterEach(closeClients);
afterAll(async () => {
  await weir.kill();
  await own.stop();
});

/** Connections of Weir's own. */
async function monitors(): Promise<number> {
  const [row] = await own.query(
    "SELECT count(*)::int AS n FROM pg_stat_activity WHERE application_name LIKE 'weir monitor%'",
  );
  return Number(row?.['n']);
}

/** Of several nodes: whether one is up. */
async function nodeState(database = 'postgres'): Promise<string | undefined> {
  const console = await connectPg(url('weir', 'weir'));
  const { rows } = await console.query<{ database: string; state: string }>('SHOW NODES');
  await console.end();
  const nodes = rows.filter((row) => row.database === database);
  return (nodes.find(({ state }) => state === 'up') ?? nodes[0])?.state;
}

test('a server that works is not asked; one that has gone is, until it is back', async () => {
  expect(await nodeState()).toBe('up');
  const client = await connectPg(url('postgres'));
  await client.query('SELECT n FROM kept');
  await until('no connection but that of the client', async () => (await monitors()) === 0);
  expect(await nodeState()).toBe('up');

  await own.kill(own.primary);
  await client.query('SELECT 1').catch(() => undefined);
  await until('it to be down', async () => (await nodeState()) === 'down');
  await own.primary.start();
  await until('it to be up', async () => (await nodeState()) === 'up');
  const another = await connectPg(url('postgres'));
  expect((await another.query('SELECT n FROM kept')).rows).toEqual([{ n: 1 }]);
  await until('the monitor to rest again', async () => (await monitors()) === 0);
});

test('servers of which one is elected are asked as soon as there is a client', async () => {
  expect(await nodeState('several')).not.toBe('up');
  const client = await connectPg(url('several'));
  expect((await client.query('SELECT 1 AS n')).rows).toEqual([{ n: 1 }]);
  await until('it to be up', async () => (await nodeState('several')) === 'up');
  expect(await monitors()).toBeGreaterThan(0);
});
