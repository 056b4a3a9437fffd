/**
 * Those who replicate, through Weir: pg_basebackup and pg_receivewal (where the machine has them), and another
 * PostgreSQL that subscribes, with large transactions, and with a Weir that stops and comes back.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Cluster, TestWeir, WeirConfig } from './harness/index.ts';
import {
  PASSWORD,
  findProgram,
  runProgram,
  startCluster,
  startTestWeir,
  until,
  useCluster,
  users,
  weirConfig,
} from './harness/index.ts';
import { majorVersionOf, serverBin } from './harness/programs.ts';

const env = { PGPASSWORD: PASSWORD };
const dirs: string[] = [];
const started: TestWeir[] = [];
const newDir = (): string => {
  const dir = mkdtempSync(join(tmpdir(), 'weir-replication-'));
  dirs.push(dir);
  return dir;
};

afterEach(async () => {
  for (const weir of started.splice(0)) await weir.stop();
  for (const dir of dirs.splice(0)) rmSync(dir, { recursive: true, force: true });
});

async function start(cluster: Parameters<typeof weirConfig>[0], more: WeirConfig = {}): Promise<TestWeir> {
  const auth = { type: 'scram-sha-256', user: users.monitor };
  const weir = await startTestWeir(weirConfig(cluster, { serverUser: null }, { auth, ...more }));
  started.push(weir);
  return weir;
}

/** These programs refuse servers that are newer than they are: they get one of their own version. */
const version = findProgram('pg_basebackup') === undefined ? undefined : majorVersionOf('pg_basebackup');
const bin = version === undefined ? undefined : serverBin(version);

describe.skipIf(bin === undefined)('the programs of PostgreSQL', () => {
  let cluster: Cluster;
  let receiver: ChildProcess | undefined;
  beforeAll(async () => {
    cluster = await startCluster({ replicas: 0, ...(bin === undefined ? {} : { bin }) });
    await cluster.query(`CREATE TABLE padding AS SELECT i, md5(i::text) AS text FROM generate_series(1, 200000) AS i`);
  });
  afterEach(() => void receiver?.kill('SIGKILL'));
  afterAll(() => cluster.stop());

  const program = (name: string): string => join(bin ?? '', name);
  const where = (weir: TestWeir): string[] => ['-h', weir.host, '-p', String(weir.port), '-U', users.replicator, '-w'];

  test.each([
    ['streaming WAL beside it', ['-X', 'stream']],
    ['fetching WAL at its end', ['-X', 'fetch']],
    ['as tar, compressed', ['-X', 'stream', '-F', 'tar', '-z']],
  ])('pg_basebackup, %s', async (_name, options) => {
    const weir = await start(cluster);
    const target = join(newDir(), 'backup');
    const { code, stderr } = await runProgram(
      program('pg_basebackup'),
      [...where(weir), '-D', target, '-c', 'fast', ...options],
      { env },
    );
    expect(stderr).toBe('');
    expect(code).toBe(0);
    if (options.includes('tar')) {
      expect(readdirSync(target)).toEqual(expect.arrayContaining(['base.tar.gz', 'pg_wal.tar.gz']));
      return;
    }
    const verified = await runProgram(program('pg_verifybackup'), [target]);
    expect(verified.stdout).toContain('backup successfully verified');
  });

  test('pg_receivewal, which goes on where it was when Weir comes back', async () => {
    let weir = await start(cluster);
    const target = newDir();
    const args = [...where(weir), '-D', target, '--slot', 'weir_receiver', '--synchronous'];
    const slot = await runProgram(program('pg_receivewal'), [...args, '--create-slot'], { env });
    expect(slot.stderr).toBe('');
    receiver = spawn(program('pg_receivewal'), args, { env: { ...process.env, ...env }, stdio: 'ignore' });
    const hasAll = async (): Promise<boolean> => {
      const sql = `SELECT count(*)::int AS n FROM pg_replication_slots WHERE slot_name = 'weir_receiver' AND restart_lsn >= $1`;
      const [row] = await cluster.query<{ n: number }>(sql, { values: [position] });
      return row?.n === 1;
    };
    const write = async (): Promise<string> => {
      await cluster.query(`INSERT INTO padding SELECT i, md5(i::text) FROM generate_series(1, 100000) AS i`);
      // A whole segment is needed for the slot to move to a place that is easily compared.
      const [row] = await cluster.query<{ lsn: string }>('SELECT pg_switch_wal() AS lsn');
      await cluster.query('CHECKPOINT');
      return row?.lsn ?? '';
    };
    let position = await write();
    await until('it to have everything', hasAll);
    const config = { listen: `127.0.0.1:${weir.port}` };
    await weir.drain();
    position = await write();
    weir = await start(cluster, config);
    await until('it to have everything again', hasAll);
    const segments = readdirSync(target).filter((name) => /^[0-9A-F]{24}$/.test(name));
    expect(segments.length).toBeGreaterThan(1);
  });
});

describe('a subscriber', () => {
  const cluster = useCluster();
  let subscriber: Cluster;
  beforeAll(async () => {
    subscriber = await startCluster({ replicas: 0, settings: { wal_retrieve_retry_interval: '200ms' } });
    await cluster.query(`CREATE ROLE publisher LOGIN SUPERUSER REPLICATION PASSWORD '${PASSWORD}'`);
    for (const at of [cluster, subscriber]) await at.query('CREATE TABLE followed (id int PRIMARY KEY, text text)');
    await cluster.query('CREATE PUBLICATION weir_publication FOR TABLE followed');
  });
  afterAll(async () => {
    await subscriber.stop();
    await cluster.query('DROP PUBLICATION weir_publication');
    await cluster.query('DROP TABLE followed');
    await cluster.query('DROP ROLE publisher');
  });

  interface Sum {
    readonly count: number;
    readonly hash: string | null;
  }
  const sum = async (at: { query: Cluster['query'] }): Promise<Sum | undefined> =>
    (
      await at.query<Sum & Record<string, unknown>>(
        `SELECT count(*)::int AS count, md5(string_agg(id || text, ',' ORDER BY id)) AS hash FROM followed`,
      )
    )[0];
  async function expectSame(): Promise<void> {
    const published = await sum(cluster);
    await until('the subscriber to have everything', async () => (await sum(subscriber))?.hash === published?.hash);
    expect(await sum(subscriber)).toEqual(published);
  }

  test('copies what is there, follows large transactions, and finds its place again', async () => {
    const auth = { type: 'trust', user: users.monitor };
    const login = { serverUser: 'publisher' };
    const open = async (more: WeirConfig = {}): Promise<TestWeir> => {
      const weir = await startTestWeir(weirConfig(cluster, login, { auth, ...more }));
      started.push(weir);
      return weir;
    };
    let weir = await open();
    await cluster.query(`INSERT INTO followed SELECT i, repeat(md5(i::text), 10) FROM generate_series(1, 20000) AS i`);
    const connection = `host=${weir.host} port=${weir.port} user=anybody dbname=postgres application_name=weir_subscriber`;
    await subscriber.query(
      `CREATE SUBSCRIPTION weir_subscription CONNECTION '${connection}' PUBLICATION weir_publication`,
    );
    try {
      await expectSame();
      await cluster.query(`UPDATE followed SET text = text || 'x'`);
      await cluster.query(
        `INSERT INTO followed SELECT i, repeat(md5(i::text), 10) FROM generate_series(20001, 80000) AS i`,
      );
      await expectSame();
      await subscriber.query('ALTER SUBSCRIPTION weir_subscription DISABLE');
      await cluster.query('DELETE FROM followed WHERE id % 3 = 0');
      await subscriber.query('ALTER SUBSCRIPTION weir_subscription ENABLE');
      await expectSame();
      const listen = `127.0.0.1:${weir.port}`;
      await weir.drain();
      await cluster.query(`UPDATE followed SET text = 'after' WHERE id % 5 = 0`);
      weir = await open({ listen });
      await expectSame();
      const admin = `SELECT count(*)::int AS n FROM pg_stat_replication WHERE application_name = 'weir_subscriber'`;
      expect(await cluster.query(admin)).toEqual([{ n: 1 }]);
    } finally {
      await subscriber.query('DROP SUBSCRIPTION weir_subscription');
    }
  });
});
