/**
 * Settings that PgBouncer has, too: checks of idle servers, server_fast_close, peers for cancels, auth_type any, turns of the
 * pools of a user, SET of TLS. Fails when a client sees a server that does not work, or when a cancel does not reach its statement.
 */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import type pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { cancelRequest } from '../src/protocol/write.ts';
import { CertificateAuthority, closeClients, connectPg, currentRun, freePorts } from './harness/index.ts';
import { startWeir, startWeirInProcess, until, useCluster, users, weirConfig } from './harness/index.ts';
import type { TestWeir, WeirAddresses, WeirConfig } from './harness/index.ts';

let database: string;
const weirs: { stop(): Promise<unknown> }[] = [];

beforeAll(async () => (database = await useCluster().createDatabase()));
afterEach(async () => {
  await closeClients();
  for (const weir of weirs.splice(0)) await weir.stop();
});
afterAll(() => useCluster().dropDatabase(database));

const configWith = (more: WeirConfig): WeirConfig =>
  weirConfig(useCluster(), { database, serverUser: null, replicas: [] }, { auth: { user: users.monitor }, ...more });

/** In this process, or with several workers as a process of its own. */
async function start(workers: number, more: WeirConfig): Promise<WeirAddresses> {
  const weir: WeirAddresses & { stop(): Promise<unknown> } =
    workers === 1
      ? await startWeirInProcess(configWith({ log: { level: 'error' }, ...more }))
      : await startWeir({ ...configWith(more), workers });
  weirs.push(weir);
  return weir;
}

async function pidOf(client: pg.Client): Promise<number> {
  return (await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')).rows[0]?.pid ?? 0;
}

async function backends(where: string, values: readonly unknown[]): Promise<number> {
  const sql = `SELECT count(*)::int AS n FROM pg_stat_activity WHERE ${where}`;
  return (await useCluster().query<{ n: number }>(sql, { values: [...values] }))[0]?.n ?? 0;
}

const isOpen = async (pid: number): Promise<boolean> => (await backends('pid = $1', [pid])) > 0;

async function ask<R extends pg.QueryResultRow>(weir: WeirAddresses, command: string): Promise<R[]> {
  const client = await connectPg(weir.adminUrl());
  const { rows } = await client.query<R>(command);
  await client.end();
  return rows;
}

const endOf = (client: pg.Client): Promise<{ code?: string }> =>
  new Promise((resolve) => client.once('error', (error) => resolve(error as { code?: string })));

describe.each([1, 2])('with workers: %i', (workers) => {
  test('server_check_query is asked of an idle server, and one that fails is replaced unnoticed', async () => {
    const cluster = useCluster();
    await cluster.query(
      `DROP TABLE IF EXISTS health; CREATE TABLE health (n int); INSERT INTO health VALUES (1);
       DROP SEQUENCE IF EXISTS checks; CREATE SEQUENCE checks; GRANT ALL ON health, checks TO PUBLIC`,
      { database },
    );
    const asked = async (): Promise<number> => {
      const sql = 'SELECT CASE WHEN is_called THEN last_value ELSE 0 END::int AS n FROM checks';
      return (await cluster.query<{ n: number }>(sql, { database }))[0]?.n ?? 0;
    };
    const check = "SELECT 1 / n, nextval('public.checks') FROM public.health";
    const weir = await start(workers, { server_check_query: check, server_check_delay: 0, resize: { enabled: false } });
    const client = await connectPg(weir.url({ database, user: users.app }));
    const first = await pidOf(client);
    const before = await asked();
    expect(await pidOf(client)).toBe(first);
    expect(await asked()).toBeGreaterThan(before);
    await cluster.query('UPDATE health SET n = 0', { database });
    expect(await pidOf(client)).not.toBe(first);
    await until('the server to be closed', async () => !(await isOpen(first)));
  });

  test('server_fast_close ends a session with its server, but no transaction', async () => {
    const weir = await start(workers, { pool_mode: 'session', server_fast_close: true });
    const [idle, busy] = [
      await connectPg(weir.url({ database, user: users.app })),
      await connectPg(weir.url({ database, user: users.app })),
    ];
    const pids = [await pidOf(idle), await pidOf(busy)] as const;
    await busy.query('BEGIN');
    const [idleEnd, busyEnd] = [endOf(idle), endOf(busy)];
    await ask(weir, 'RECONNECT');
    expect((await idleEnd).code).toBe('57P01');
    await until('its server to be closed', async () => !(await isOpen(pids[0])));
    expect(await pidOf(busy)).toBe(pids[1]);
    await busy.query('COMMIT');
    expect((await busyEnd).code).toBe('57P01');
    await until('the other server to be closed', async () => !(await isOpen(pids[1])));
    const next = await connectPg(weir.url({ database, user: users.app }));
    expect(pids).not.toContain(await pidOf(next));
  });

  test('without it a session keeps its server', async () => {
    const weir = await start(workers, { pool_mode: 'session' });
    const client = await connectPg(weir.url({ database, user: users.app }));
    const pid = await pidOf(client);
    await ask(weir, 'RECONNECT');
    expect([await pidOf(client), await pidOf(client)]).toEqual([pid, pid]);
  });

  test('max_user_connections counts replication connections, too', async () => {
    const weir = await start(workers, { users: { [users.replicator]: { max_user_connections: 1 } } });
    const replicate = (): Promise<pg.Client> =>
      connectPg(weir.url({ database, user: users.replicator }), { replication: 'database' } as never);
    const first = await replicate();
    await expect(replicate()).rejects.toMatchObject({ code: '53300' });
    await first.end();
    await until('the next to be let in', async () => {
      const next = await replicate().catch(() => undefined);
      await next?.end();
      return next !== undefined;
    });
  });

  test('a CancelRequest that reaches another Weir is passed on, and never goes round', async () => {
    const [portA = 0, portB = 0] = await freePorts(2);
    const peers = { 1: `127.0.0.1:${portA}`, 2: `127.0.0.1:${portB}`, 3: `127.0.0.1:${portB}` };
    const a = await start(workers, { listen: `127.0.0.1:${portA}`, peer_id: 1, peers });
    const other = await start(workers, { listen: `127.0.0.1:${portB}`, peer_id: 2, peers });
    const client = await connectPg(a.url({ database, user: users.app }));
    const refused = expect(client.query('SELECT pg_sleep(60) AS passed_on')).rejects.toMatchObject({ code: '57014' });
    await until('it to run', async () => (await running()) === 1);
    await cancel(portB, client);
    await refused;
    expect(await outcomes(other)).toEqual({ passed_on: 1 });
    expect((await client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
    const rows = await ask(other, 'SHOW PEERS');
    expect(rows.map((row) => [row['peer_id'], row['port']])).toEqual([
      ['1', String(portA)],
      ['2', String(portB)],
      ['3', String(portB)],
    ]);
    // A wrong list: what is for 3 comes back to 2 itself, until it has no hop left.
    await cancel(portB, { processID: (5 << 24) | (3 << 16) | 7, secretKey: 0x01020307 });
    await until('it to end', async () => (await outcomes(other))['expired'] === 1);
    expect(await outcomes(other)).toEqual({ passed_on: 4, expired: 1 });
  });
});

const running = (): Promise<number> =>
  backends("datname = $1 AND query LIKE '%passed_on%' AND state = 'active' AND pid <> pg_backend_pid()", [database]);

function cancel(port: number, client: object): Promise<void> {
  const { processID, secretKey } = client as { processID: number; secretKey: number };
  const secret = Buffer.alloc(4);
  secret.writeInt32BE(secretKey);
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.end(cancelRequest(processID, secret)));
    socket.on('error', reject).once('close', () => resolve());
  });
}

/** weir_peer_cancels_total */
async function outcomes({ httpPort }: WeirAddresses): Promise<Record<string, number>> {
  const text = await (await fetch(`http://127.0.0.1:${httpPort}/metrics`)).text();
  const found = [...text.matchAll(/^weir_peer_cancels_total\{outcome="(\w+)"\} (\d+)$/gm)];
  return Object.fromEntries(found.map(([, outcome = '', count]) => [outcome, Number(count)]));
}

test.each(['RESET ALL', 'DISCARD ALL', 'RESET work_mem'])(
  '%s of a client undoes connect_query for nobody else',
  async (undo) => {
    const weir = await start(1, { connect_query: "SET work_mem = '7MB'", default_pool_size: 1, max_pool_size: 1 });
    const [one, other] = [
      await connectPg(weir.url({ database, user: users.app })),
      await connectPg(weir.url({ database, user: users.app })),
    ];
    const shown = async (client: pg.Client): Promise<string> => {
      const { rows } = await client.query<{ pid: number; v: string }>(
        "SELECT pg_backend_pid() AS pid, current_setting('work_mem') AS v",
      );
      return `${rows[0]?.pid} ${rows[0]?.v}`;
    };
    const before = await shown(one);
    expect(before).toMatch(/ 7MB$/);
    await one.query(undo);
    expect(await shown(other)).toBe(before);
    expect(await shown(one)).toBe(before);
  },
);

test('pool_idle_timeout forgets a pool when its last client has left', async () => {
  const weir = await start(1, { pool_idle_timeout: '1s', server_idle_timeout: '100ms' });
  const pools = async (): Promise<number> =>
    (await ask<{ database: string; user: string }>(weir, 'SHOW POOLS')).filter(({ user }) => user === users.app2)
      .length;
  const client = await connectPg(weir.url({ database, user: users.app2 }));
  const first = await pidOf(client);
  await until('its server to be closed', async () => !(await isOpen(first)));
  expect(await pools()).toBe(1);
  await client.end();
  await until('the pool to be forgotten', async () => (await pools()) === 0);
  const next = await connectPg(weir.url({ database, user: users.app2 }));
  expect(await pidOf(next)).not.toBe(first);
  expect(await pools()).toBe(1);
});

test('auth.type any lets everybody in under any name, as the user of the database', async () => {
  const config = weirConfig(
    useCluster(),
    { database, serverUser: users.app, replicas: [] },
    { auth: { type: 'any' }, log: { level: 'error' } },
  );
  const weir: TestWeir = await startWeirInProcess(config);
  weirs.push(weir);
  const client = await connectPg(weir.url({ database, user: 'nobody knows', password: '' }));
  expect((await client.query('SELECT current_user AS me')).rows).toEqual([{ me: users.app }]);
  expect(await backends('datname = $1 AND usename = $2', [database, 'nobody knows'])).toBe(0);
  await expect(connectPg(weir.url({ database: 'weir', user: 'nobody knows' }))).rejects.toThrow('nobody knows');
  await expect(startWeirInProcess(configWith({ auth: { type: 'any' } }))).rejects.toThrow(
    'any needs a user in the URL of every node',
  );
});

test('the pools of a user at max_user_connections take turns', async () => {
  const other = await useCluster().createDatabase();
  const primary = { url: `postgres://127.0.0.1:${useCluster().primary.port}/${other}`, name: 'primary' };
  const weir = await start(1, { databases: { [other]: { primary } }, users: { app: { max_user_connections: 1 } } });
  const clients = await Promise.all([1, 2, 3].map(() => connectPg(weir.url({ database, user: users.app }))));
  let isOver = false;
  const busy = clients.map(async (client) => {
    while (!isOver) await client.query('SELECT pg_sleep(0.05)');
  });
  const starved = await connectPg(weir.url({ database: other, user: users.app }));
  for (let i = 0; i < 3; i++) expect((await starved.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
  expect(await backends('usename = $1 AND datname = ANY($2)', [users.app, [database, other]])).toBeLessThanOrEqual(1);
  isOver = true;
  await Promise.all(busy);
  await closeClients();
  for (const each of weirs.splice(0)) await each.stop();
  await useCluster().dropDatabase(other);
});

test('SET of a certificate waits for that of its key, and cipher suites of TLS 1.3 hold at once', async () => {
  const cluster = useCluster();
  const authority = new CertificateAuthority({ cert: cluster.caCert, key: cluster.caKey });
  const dir = mkdtempSync(join(currentRun().dir, 'tls-'));
  const files = ['old', 'new'].map((name) => {
    const { cert, key } = authority.server(['localhost']);
    const made = { cert: join(dir, `${name}.crt`), key: join(dir, `${name}.key`) };
    writeFileSync(made.cert, cert);
    writeFileSync(made.key, key, { mode: 0o600 });
    return made;
  });
  const [old, fresh] = files as [(typeof files)[0], (typeof files)[0]];
  const weir = await start(1, { tls: { client: old } });
  const shown = async (): Promise<string> => {
    const client = await connectPg(weir.url({ database, user: users.app }), { ssl: { rejectUnauthorized: false } });
    const { stream } = (client as unknown as { connection: { stream: TLSSocket } }).connection;
    const about = `${stream.getPeerCertificate().fingerprint256} ${stream.getCipher().name}`;
    await client.end();
    return about;
  };
  const before = await shown();
  const console = await connectPg(weir.url({ database: 'pgbouncer', user: 'weir' }));
  const notices: string[] = [];
  console.on('notice', ({ message }) => notices.push(message ?? ''));
  await console.query(`SET client_tls_cert_file = '${fresh.cert}'`);
  expect(notices.join()).toContain('TLS settings could not be applied, still using old configuration');
  expect(await shown()).toBe(before);
  await console.query(`SET client_tls_key_file = '${fresh.key}'`);
  expect(notices).toHaveLength(1);
  expect((await shown()).split(' ')[0]).not.toBe(before.split(' ')[0]);
  await console.query("SET client_tls13_ciphers = 'TLS_CHACHA20_POLY1305_SHA256'");
  expect(await shown()).toContain('TLS_CHACHA20_POLY1305_SHA256');
  const { rows } = await console.query<{ key: string; value: string }>('SHOW CONFIG');
  const value = (key: string): string | undefined => rows.find((row) => row.key === key)?.value;
  expect([value('client_tls_cert_file'), value('client_tls13_ciphers'), value('client_tls_protocols')]).toEqual([
    fresh.cert,
    'TLS_CHACHA20_POLY1305_SHA256',
    'secure',
  ]);
});
