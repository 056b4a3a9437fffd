/**
 * The harness itself: what the other integration tests take for granted must be true, or they prove nothing.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createServer } from 'node:net';
import pg from 'pg';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { allProcesses } from '../scripts/lib/processes.mjs';
import {
  CertificateAuthority,
  closeClients,
  connectPg,
  connectPostgresJs,
  findProgram,
  PASSWORD,
  runPsql,
  startCluster,
  startRedis,
  TcpRelay,
  until,
  useCluster,
  useRedis,
  users,
} from './harness/index.ts';
import type { Cluster, PgNode } from './harness/index.ts';
import { PortTakenError } from './harness/pg-node.ts';
import { checkoutDir, currentRun } from './harness/run-dir.ts';

const cluster = useCluster();

afterEach(closeClients);

function replicaOf(of: Cluster, index: number): PgNode {
  const node = of.replicas[index];
  if (node === undefined) throw new Error(`no replica ${index}`);
  return node;
}

describe('the shared cluster', () => {
  test('has a primary and two streaming replicas', async () => {
    const inRecovery = 'SELECT pg_is_in_recovery() AS standby';
    expect(await cluster.query(inRecovery)).toEqual([{ standby: false }]);
    expect(cluster.replicas).toHaveLength(2);
    for (const node of cluster.replicas) expect(await cluster.query(inRecovery, { node })).toEqual([{ standby: true }]);
    const streaming = `SELECT application_name FROM pg_stat_replication WHERE state = 'streaming' ORDER BY 1`;
    expect(await cluster.query(streaming)).toEqual([
      { application_name: 'replica1' },
      { application_name: 'replica2' },
    ]);
  });

  test('what is written on the primary is on the replicas after waitForReplicas', async () => {
    const database = await cluster.createDatabase();
    await cluster.query('CREATE TABLE t AS SELECT generate_series(1, 1000) AS n', { database });
    await cluster.waitForReplicas();
    for (const node of cluster.replicas) {
      expect(await cluster.query('SELECT count(*)::int AS n FROM t', { database, node })).toEqual([{ n: 1000 }]);
    }
    await cluster.dropDatabase(database);
  });

  test('replay can be paused and resumed', async () => {
    const [node] = cluster.replicas;
    if (node === undefined) throw new Error('no replica');
    const database = await cluster.createDatabase();
    await cluster.query('CREATE TABLE t AS SELECT 1 AS n', { database });
    await cluster.waitForReplicas();
    await cluster.pauseReplay(node);
    await cluster.query('UPDATE t SET n = 2', { database });
    await cluster.waitForReplicas(cluster.replicas.slice(1));
    expect(await cluster.query('SELECT n FROM t', { database, node })).toEqual([{ n: 1 }]);
    await cluster.resumeReplay(node);
    await cluster.waitForReplicas();
    expect(await cluster.query('SELECT n FROM t', { database, node })).toEqual([{ n: 2 }]);
    await cluster.dropDatabase(database);
  });

  test.each([users.app, users.trust, users.md5, users.password])('%s logs in without TLS', async (user) => {
    const client = await connectPg(cluster.url(cluster.primary, { user }));
    expect((await client.query('SELECT current_user AS u')).rows).toEqual([{ u: user }]);
  });

  test.each([users.app, users.md5, users.password])('%s is refused with a wrong password', async (user) => {
    const url = cluster.url(cluster.primary, { user, password: 'wrong' });
    await expect(connectPg(url)).rejects.toMatchObject({ code: '28P01' });
  });

  test('TLS: the certificate holds for 127.0.0.1 and its authority only', async () => {
    const config = {
      host: '127.0.0.1',
      port: cluster.primary.port,
      user: users.tls,
      password: PASSWORD,
      database: 'postgres',
    };
    const client = new pg.Client({ ...config, ssl: { ca: cluster.caCert } });
    await client.connect();
    const tls = await client.query('SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()');
    expect(tls.rows).toEqual([{ ssl: true }]);
    await client.end();
    const stranger = new CertificateAuthority().ca.cert;
    await expect(new pg.Client({ ...config, ssl: { ca: stranger } }).connect()).rejects.toThrow(
      /certificate|signature/,
    );
    await expect(new pg.Client(config).connect()).rejects.toMatchObject({ code: '28000' });
  });

  test('a client certificate is a log-in; one of another authority is not', async () => {
    const login = (by: CertificateAuthority): Promise<pg.Client> => {
      const { cert, key } = by.client(users.cert);
      const at = { host: '127.0.0.1', port: cluster.primary.port, user: users.cert, database: 'postgres' };
      return connectPg('', { ...at, ssl: { ca: cluster.caCert, cert, key } });
    };
    const client = await login(new CertificateAuthority({ cert: cluster.caCert, key: cluster.caKey }));
    expect((await client.query('SELECT current_user AS u')).rows).toEqual([{ u: users.cert }]);
    await expect(login(new CertificateAuthority())).rejects.toThrow();
  });

  test('postgres.js speaks to it', async () => {
    const sql = connectPostgresJs(cluster.url());
    expect(await sql`SELECT ${41}::int + 1 AS n`).toEqual([{ n: 42 }]);
  });

  test.skipIf(findProgram('psql') === undefined)('psql speaks to it', async () => {
    const done = await runPsql(cluster.url(), 'SELECT 6 * 7;');
    expect(done).toEqual({ code: 0, stdout: '42\n', stderr: '' });
  });
});

describe('a cluster of its own', () => {
  let own: Cluster;
  afterAll(() => own.stop());

  test('fails over: the primary is killed, a replica is promoted, the other follows', async () => {
    own = await startCluster({ settings: { work_mem: '5MB' } });
    expect(await own.query('SHOW work_mem')).toEqual([{ work_mem: '5MB' }]);
    const first = own.primary;
    await own.kill(first);
    await expect(own.query('SELECT 1', { node: first })).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    const next = replicaOf(own, 0);
    await own.promote(next);
    expect(own.primary).toBe(next);
    await own.query('CREATE TABLE t AS SELECT 7 AS n');
    await own.waitForReplicas();
    expect(await own.query('SELECT n FROM t', { node: replicaOf(own, 0) })).toEqual([{ n: 7 }]);
  });

  test('a killed replica starts again and catches up', async () => {
    const node = replicaOf(own, 0);
    await own.kill(node);
    await own.query('UPDATE t SET n = 8');
    await own.start(node);
    await own.waitForReplicas();
    expect(await own.query('SELECT n FROM t', { node })).toEqual([{ n: 8 }]);
  });

  test('a frozen node keeps its connections and says nothing until it thaws', async () => {
    const client = await connectPg(own.url());
    own.primary.freeze();
    let answered = false;
    const answer = client.query('SELECT 1').then(() => (answered = true));
    // The other node still answers, so time has passed and the frozen one had its chance.
    await own.query('SELECT pg_sleep(0.2)', { node: replicaOf(own, 0) });
    expect(answered).toBe(false);
    own.primary.thaw();
    await answer;
  });
});

describe.skipIf(useRedis() === null)('Redis', () => {
  test('stops, starts again on the same port, and can be killed', async () => {
    const redis = await startRedis();
    const { port } = redis;
    await redis.restart();
    expect(redis.port).toBe(port);
    await redis.kill();
    expect(redis.isRunning).toBe(false);
  });
});

describe('TcpRelay', () => {
  async function withRelay(use: (relay: TcpRelay) => Promise<void>): Promise<void> {
    const relay = await TcpRelay.start(cluster.primary);
    try {
      await use(relay);
    } finally {
      await relay.stop();
    }
  }

  test('passes everything, then nothing, then what was held back', () =>
    withRelay(async (relay) => {
      const client = await connectPg(cluster.url(relay));
      await client.query('SELECT 1');
      relay.blackhole();
      let answered = false;
      const answer = client.query('SELECT 2').then(() => (answered = true));
      await cluster.query('SELECT pg_sleep(0.1)');
      expect(answered).toBe(false);
      relay.pass();
      await answer;
    }));

  test.each(['cut', 'reset'] as const)('%s ends the connections', (how) =>
    withRelay(async (relay) => {
      const client = await connectPg(cluster.url(relay));
      const answer = client.query('SELECT pg_sleep(30)');
      await until(
        'the statement to run',
        async () =>
          (await cluster.query(`SELECT 1 FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(30)'`)).length > 0,
      );
      relay[how]();
      await expect(answer).rejects.toThrow(/terminated|ECONNRESET/);
    }),
  );

  test('cuts after exactly so many bytes', () =>
    withRelay(async (relay) => {
      const client = await connectPg(cluster.url(relay));
      const before = relay.passed.toClient;
      relay.cutAfter(10);
      await expect(client.query('SELECT 1')).rejects.toThrow(/terminated/);
      expect(relay.passed.toClient - before).toBe(10);
    }));

  test('refuses', () =>
    withRelay(async (relay) => {
      relay.setMode('refuse');
      await expect(connectPg(cluster.url(relay))).rejects.toThrow();
      expect(relay.accepted).toBe(1);
    }));
});

test('a port that is taken is told from other failures, so that another one is tried', async () => {
  const taken = createServer();
  const other = await startCluster({ replicas: 0 });
  try {
    expect(other.primary.port).not.toBe(cluster.primary.port);
    await other.stopNode(other.primary);
    await new Promise<void>((resolve) => taken.listen(other.primary.port, '127.0.0.1', resolve));
    await expect(other.start(other.primary)).rejects.toThrow(PortTakenError);
  } finally {
    taken.close();
    await other.stop();
  }
});

test('what a process started dies with it, even when it is killed -9', async () => {
  const marker = `${currentRun().dir}/left`;
  const script = `
    import { spawn } from 'node:child_process';
    import { mkdirSync } from 'node:fs';
    const dir = ${JSON.stringify(marker)};
    mkdirSync(dir);
    const sleeper = spawn('sleep', ['1000'], { stdio: 'ignore', detached: true, cwd: dir });
    const dog = spawn(process.execPath, ['scripts/lib/watchdog.mjs'], { stdio: ['pipe', 'ignore', 'ignore'], detached: true });
    dog.stdin.write('dir ' + dir + '\\npid ' + sleeper.pid + '\\n', () => console.log(sleeper.pid));
    setInterval(() => {}, 1000);`;
  const parent = spawn(process.execPath, ['--input-type=module', '-e', script], { cwd: checkoutDir });
  const sleeper = await new Promise<number>((resolve) => parent.stdout.once('data', (pid) => resolve(Number(pid))));
  expect(existsSync(marker)).toBe(true);
  parent.kill('SIGKILL');
  await until('the orphan to be killed', () => allProcesses().every(({ pid }) => pid !== sleeper));
  await until('its directory to be removed', () => !existsSync(marker));
});
