/**
 * Unix sockets on both sides: clients that come through one are `local` to auth.hba_file, servers are reached through one,
 * cancels travel the same ways; a socket that is alive is never taken away, one that was left behind is.
 */
import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { cancelRequest } from '../src/protocol/write.ts';
import type { Cluster, WeirConfig, WeirProcess } from './harness/index.ts';
import {
  PASSWORD,
  closeClients,
  connectPg,
  findProgram,
  freePort,
  runPsql,
  startCluster,
  startWeir,
  until,
  weirConfig,
} from './harness/index.ts';

const dir = mkdtempSync(join(tmpdir(), 'weir-sock-'));
const sockets = join(dir, 'weir');
const hba = join(dir, 'hba.conf');
let cluster: Cluster;
let weir: WeirProcess | undefined;

const viaServer = (): pg.ClientConfig => ({ host: dir, port: cluster.primary.port, user: 'app', password: PASSWORD });

beforeAll(async () => {
  // PostgreSQL may run as another user.
  chmodSync(dir, 0o777);
  mkdirSync(sockets);
  writeFileSync(hba, 'local all all trust\nhost all weir,monitor all scram-sha-256\n');
  cluster = await startCluster({ replicas: 0, settings: { unix_socket_directories: dir } });
  appendFileSync(join(cluster.primary.dataDir, 'pg_hba.conf'), 'local all all scram-sha-256\n');
  await cluster.query('SELECT pg_reload_conf()');
  await until('PostgreSQL to listen there', async () => {
    const client = new pg.Client({ ...viaServer(), database: 'postgres' });
    await client.connect();
    await client.end();
    return true;
  });
});

afterEach(async () => {
  await closeClients();
  await weir?.stop();
  weir = undefined;
});

afterAll(async () => {
  await cluster.stop();
  rmSync(dir, { recursive: true });
});

async function start(more: WeirConfig = {}): Promise<WeirProcess> {
  const { port } = cluster.primary;
  const primary = `postgres://app:${PASSWORD}@/postgres?host=${encodeURIComponent(dir)}&port=${port}`;
  const config = weirConfig(cluster, {}, { auth: { type: 'hba', hba_file: hba } });
  return startWeir({
    ...config,
    databases: { postgres: { primary: { url: primary, name: 'primary' } } },
    // Not to be had, and not asked for: over a Unix socket there is no TLS.
    tls: { server: { mode: 'require' } },
    unix_socket_dir: sockets,
    unix_socket_mode: '0770',
    ...more,
  });
}

const local = (): pg.ClientConfig => ({ host: sockets, port: weir!.port, database: 'postgres', user: 'app' });

async function connectLocal(more: pg.ClientConfig = {}): Promise<pg.Client> {
  return connectPg('', { connectionString: undefined, ...local(), ...more });
}

test('clients and servers, by way of sockets, with cancels', async () => {
  weir = await start();
  const path = join(sockets, `.s.PGSQL.${weir.port}`);
  expect(statSync(path).mode & 0o777).toBe(0o770);

  const client = await connectLocal();
  const sql = 'SELECT current_user AS who, inet_server_addr() IS NULL AS is_local';
  expect((await client.query(sql)).rows).toEqual([{ who: 'app', is_local: true }]);
  // Through TCP the same user does not fit any line.
  await expect(connectPg(weir.url())).rejects.toMatchObject({ code: '28000' });
  await expect(connectLocal({ ssl: true })).rejects.toThrow('does not support SSL');

  const console = await connectPg(weir.adminUrl());
  const shown = await console.query<{ addr: string }>('SHOW CLIENTS');
  expect(shown.rows.map((row) => row.addr)).toContain('unix');

  const { processID, secretKey } = client as unknown as { processID: number; secretKey: number };
  const secret = Buffer.alloc(4);
  secret.writeInt32BE(secretKey);
  const sleeping = client.query('SELECT pg_sleep(600)').catch((error: { code?: string }) => error.code);
  const isAsleep = `SELECT 1 FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(600)%' AND state = 'active'`;
  await until('the statement to run', async () => (await cluster.query(isAsleep)).length > 0);
  await new Promise((resolve) =>
    connect({ path }).once('close', resolve).end(cancelRequest(processID, secret)).resume(),
  );
  expect(await sleeping).toBe('57014');

  if (findProgram('psql') !== undefined) {
    const { stdout } = await runPsql(`host=${sockets} port=${weir.port} dbname=postgres user=app`, 'SELECT 42 AS n');
    expect(stdout).toContain('42');
  }
  await closeClients();
  await weir.stop();
  weir = undefined;
  expect(readdirSync(sockets)).toEqual([]);
});

test('a live socket is never taken, that of a process that was killed is', async () => {
  const port = await freePort();
  weir = await start({ listen: `127.0.0.1:${port}` });
  // Another address, the same port: the same name in the directory.
  const rival = await start({ listen: `127.0.0.2:${port}` }).then(
    () => 'started',
    (error: Error) => error.message,
  );
  expect(rival).toContain('.s.PGSQL.');
  expect(rival).toContain('another process listens there');
  await connectLocal();
  await closeClients();
  await weir.kill();
  expect(readdirSync(sockets)).toHaveLength(2);
  weir = await start({ listen: `127.0.0.1:${port}` });
  expect((await (await connectLocal()).query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
});
