/**
 * A Weir that is told something while it works: SIGTERM loses nothing, SIGHUP applies what it can and changes nothing
 * when the file cannot be used, and operators resize and pause under two hundred clients without an error.
 */
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { connect as connectTcp } from 'node:net';
import { join } from 'node:path';
import type pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import {
  closeClients,
  connectPg,
  currentRun,
  findProgram,
  hasRedis,
  runProgram,
  startRedis,
  startWeir,
  TcpRelay,
  until,
  useCluster,
  weirConfig,
} from './harness/index.ts';
import type { WeirConfig, WeirProcess } from './harness/index.ts';

let database: string;
let weir: WeirProcess | undefined;

beforeAll(async () => {
  database = await useCluster().createDatabase();
});
afterEach(async () => {
  await closeClients();
  if (weir?.isRunning === true) await weir.stop();
  weir = undefined;
});
afterAll(() => useCluster().dropDatabase(database));

async function start(more: WeirConfig = {}): Promise<WeirProcess> {
  const base = { log: { level: 'warn' }, resize: { enabled: false } };
  return (weir = await startWeir(weirConfig(useCluster(), { database, replicas: [] }, { ...base, ...more })));
}

const codeOf = (error: unknown): string | undefined => (error as { code?: string }).code;

interface Written {
  /** Answered with success. */
  readonly confirmed: number[];
  /** What ended the client's work. */
  end: unknown;
}

/** Writes one row after the other until the connection ends, alone and in transactions by turns. */
async function write(client: pg.Client, from: number): Promise<Written> {
  const written: Written = { confirmed: [], end: undefined };
  // Its last words come between two statements, and are an error of the connection then.
  client.once('error', (error) => (written.end ??= error));
  try {
    for (let n = from; ; n++) {
      if (n % 2 === 0) await client.query('INSERT INTO confirmed VALUES ($1)', [n]);
      else {
        await client.query('BEGIN');
        await client.query('INSERT INTO confirmed VALUES ($1)', [n]);
        await client.query('SELECT pg_sleep(0.01)');
        await client.query('COMMIT');
      }
      written.confirmed.push(n);
    }
  } catch (error) {
    written.end ??= error;
  }
  return written;
}

describe('SIGTERM', () => {
  test('under load: what is in flight ends well, nothing confirmed is lost, new clients are refused, exit code 0', async () => {
    const at = await start({ default_pool_size: 5 });
    const owner = await connectPg(at.url({ database }));
    await owner.query('CREATE TABLE confirmed (n int)');
    const clients = await Promise.all(Array.from({ length: 20 }, () => connectPg(at.url({ database }))));
    const writing = clients.map((client, i) => write(client, i * 1_000_000));
    const open = await connectPg(at.url({ database }));
    await open.query('BEGIN');
    await open.query('INSERT INTO confirmed VALUES (-1)');
    const long = (await connectPg(at.url({ database }))).query<{ ok: boolean }>('SELECT true AS ok, pg_sleep(1)');
    const someWritten = 'SELECT count(*) > 100 AS ok FROM confirmed';
    await until('the load to be on', async () => {
      return (await useCluster().query<{ ok: boolean }>(someWritten, { database }))[0]?.ok;
    });
    at.signal('SIGTERM');
    await until('new clients to be refused', async () => {
      const late = await connectPg(at.url({ database })).catch((error: unknown) => error);
      return codeOf(late) === '57P01';
    });

    const done = await Promise.all(writing);
    expect(done.map(({ end }) => codeOf(end))).toEqual(clients.map(() => '57P01'));
    expect((await long).rows[0]?.ok).toBe(true);
    // A transaction that is open may be finished.
    await open.query('INSERT INTO confirmed VALUES (-2)');
    await open.query('COMMIT');
    expect(await at.exited).toEqual({ code: 0, signal: null });

    const rows = await useCluster().query<{ n: number }>('SELECT n FROM confirmed', { database });
    const stored = rows.map(({ n }) => n).sort((a, b) => a - b);
    const confirmed = [-1, -2, ...done.flatMap((each) => each.confirmed)].sort((a, b) => a - b);
    expect(stored).toEqual(confirmed);
    expect(at.output).not.toContain('unexpected');
  });

  test('a second one stops at once', async () => {
    const at = await start();
    const client = await connectPg(at.url({ database }));
    await client.query('BEGIN');
    at.signal('SIGTERM');
    await until('it to drain', () => at.output.includes('draining'));
    at.signal('SIGTERM');
    expect(await at.exited).toMatchObject({ code: 1 });
    await expect(client.query('SELECT 1')).rejects.toThrow();
  });
});

describe('shutdown_timeout', () => {
  const activity = `SELECT count(*)::int AS n FROM pg_stat_activity WHERE datname = $1 AND query LIKE 'SELECT pg_sleep(300)%'`;
  const sleeping = async (): Promise<number> =>
    (await useCluster().query<{ n: number }>(activity, { values: [database] }))[0]?.n ?? 0;

  test('what is not over by then is cut with 57P01, cancelled, counted and said', async () => {
    const at = await start({ shutdown_timeout: '1s' });
    const [long, open] = await Promise.all([connectPg(at.url({ database })), connectPg(at.url({ database }))]);
    const cut = expect(long.query('SELECT pg_sleep(300)')).rejects.toMatchObject({ code: '57P01' });
    await open.query('BEGIN');
    await until('the statement to run', async () => (await sleeping()) === 1);
    const told = new Promise((resolve) => open.once('error', resolve));
    at.signal('SIGTERM');
    await cut;
    expect(await told).toMatchObject({ code: '57P01' });
    expect(await at.exited).toEqual({ code: 0, signal: null });
    // One line of each process that cuts something.
    const lines = at.logs.filter(({ event }) => event === 'shutdown_cut');
    const sum = (field: string): number => lines.reduce((total, line) => total + Number(line[field]), 0);
    expect(new Set(lines.map(({ level }) => level))).toEqual(new Set(['warn']));
    expect([sum('clients'), sum('servers'), sum('statements')]).toEqual([2, 2, 1]);
    await until('the statement to be cancelled', async () => (await sleeping()) === 0);
  });

  test('can be changed while Weir drains', async () => {
    const at = await start({ shutdown_timeout: '1h' });
    const client = await connectPg(at.url({ database }));
    client.on('error', () => undefined);
    await client.query('BEGIN');
    at.signal('SIGTERM');
    await until('it to drain', () => at.output.includes('draining'));
    const before = JSON.parse(readFileSync(at.configFile, 'utf8')) as WeirConfig;
    at.rewriteConfig({ ...before, shutdown_timeout: '1s' });
    at.signal('SIGHUP');
    expect(await at.exited).toEqual({ code: 0, signal: null });
  });

  test('nothing holds up the end: neither a silent server, nor a silent Redis, nor half a request over HTTP', async () => {
    const [primary, second] = await Promise.all([
      TcpRelay.start(useCluster().primary),
      hasRedis() ? startRedis() : undefined,
    ]);
    const redis = second === undefined ? undefined : await TcpRelay.start(second);
    const cache = redis === undefined ? {} : { cache: { enabled: true, redis: `redis://127.0.0.1:${redis.port}` } };
    const config = weirConfig(useCluster(), { database, primary, replicas: [] }, { shutdown_timeout: '1s', ...cache });
    const at = (weir = await startWeir(config));
    const client = await connectPg(at.url({ database }));
    client.on('error', () => undefined);
    await client.query('SELECT 1');
    const http = connectTcp(at.httpPort, '127.0.0.1');
    http.on('error', () => undefined);
    http.write('GET /metrics HTTP/1.1\r\n');
    for (const relay of [primary, redis]) relay?.blackhole();
    const lost = expect(client.query('INSERT INTO confirmed VALUES (-3)')).rejects.toThrow();
    at.signal('SIGTERM');
    await lost;
    expect(await at.exited).toEqual({ code: 0, signal: null });
    http.destroy();
    await Promise.all([primary.stop(), redis?.stop()]);
    await second?.stop();
  });

  test('a second signal does not wait for what hangs', async () => {
    const relay = await TcpRelay.start(useCluster().primary);
    const at = await startWeir(weirConfig(useCluster(), { database, primary: relay, replicas: [] }));
    const client = await connectPg(at.url({ database }));
    client.on('error', () => undefined);
    await client.query('BEGIN');
    relay.blackhole();
    const lost = expect(client.query('SELECT 1')).rejects.toThrow();
    at.signal('SIGTERM');
    await until('it to drain', () => at.output.includes('draining'));
    at.signal('SIGINT');
    await lost;
    expect(await at.exited).toMatchObject({ code: 1 });
    await relay.stop();
  });
});

describe('SIGHUP', () => {
  async function serving(): Promise<{ at: WeirProcess; base: WeirConfig; value: (key: string) => Promise<string> }> {
    const config = weirConfig(useCluster(), { database, replicas: [] });
    const at = (weir = await startWeir(config));
    const console = await connectPg(at.adminUrl());
    const base = JSON.parse(readFileSync(at.configFile, 'utf8')) as WeirConfig;
    const value = async (key: string): Promise<string> => {
      const { rows } = await console.query<Record<string, string>>(`SHOW ${key}`);
      return Object.values(rows[0] ?? {})[0] ?? '';
    };
    return { at, base, value };
  }

  test('applies the new file to those who are connected, and names what only a restart applies', async () => {
    const { at, base, value } = await serving();
    const client = await connectPg(at.url({ database }));
    await client.query('SELECT 1');
    at.rewriteConfig({
      ...base,
      query_wait_timeout: '7s',
      max_client_conn: 77,
      listen: `127.0.0.1:${at.httpPort + 1}`,
    });
    at.signal('SIGHUP');
    await until('the report', () => at.output.includes('needs a new start of Weir'));
    expect(at.output).toMatch(/reload: changed .*max_client_conn/);
    expect(at.output).toMatch(/needs a new start of Weir: listen\n/);
    expect(await value('query_wait_timeout')).toBe('7s');
    expect((await client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
    await connectPg(at.url({ database }));
  });

  const bad: [string, WeirConfig, RegExp][] = [
    ['a value that is none', { query_wait_timeout: 'soon' }, /query_wait_timeout/],
    [
      'a certificate that is no certificate',
      { tls: { client: { mode: 'require', cert: 'no.pem', key: 'no.pem' } } },
      /tls\.client/,
    ],
    ['an authority for servers that is none', { tls: { server: { mode: 'verify-ca', ca: 'no.pem' } } }, /tls\.server/],
  ];
  test.each(bad)('changes nothing because of %s, and says so', async (_what, wrong, name) => {
    const { at, base, value } = await serving();
    const before = await value('max_client_conn');
    writeFileSync(join(at.configFile, '../no.pem'), 'this is no certificate\n');
    // Something good, and other users, come with what is bad.
    const users = mkdtempSync(join(currentRun().dir, 'users-'));
    writeFileSync(join(users, 'users.txt'), '"somebody" "else"\n');
    const auth = { ...(base['auth'] as WeirConfig), file: join(users, 'users.txt') };
    at.rewriteConfig({ ...base, auth, max_client_conn: 77, ...wrong });
    at.signal('SIGHUP');
    // The whole line: it may come in pieces.
    await until('the report', () => /nothing was changed.*\n/.test(at.output));
    expect(at.output.slice(at.output.indexOf('nothing was changed'))).toMatch(name);
    expect(await value('max_client_conn')).toBe(before);
    const client = await connectPg(at.url({ database }));
    expect((await client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
    expect(at.output).not.toContain('unexpected');
  });
});

describe('two hundred clients', () => {
  /** pgbench where there is one, and as many clients in this process where there is none. */
  async function load(at: WeirProcess, seconds: number): Promise<void> {
    const pgbench = findProgram('pgbench');
    const url = at.url({ database });
    if (pgbench === undefined) return inProcess(url, seconds);
    const init = await runProgram(pgbench, ['-i', '-q', '-s', '1', useCluster().url(undefined, { database })]);
    expect([init.code, init.stderr]).toEqual([0, expect.any(String)]);
    const args = ['-c', '200', '-j', '2', '-T', String(seconds), '-n', '-M', 'extended', '-S', url];
    const { code, stdout, stderr } = await runProgram(pgbench, args);
    expect(stderr).not.toMatch(/error|aborted/i);
    expect([code, stdout]).toEqual([0, expect.stringMatching(/number of failed transactions: 0 /)]);
  }

  async function inProcess(url: string, seconds: number): Promise<void> {
    process.stderr.write('no pgbench on this machine: 200 clients of node-postgres instead\n');
    const clients = await Promise.all(Array.from({ length: 200 }, () => connectPg(url)));
    const endMs = performance.now() + seconds * 1_000;
    await Promise.all(
      clients.map(async (client, i) => {
        while (performance.now() < endMs) {
          expect((await client.query<{ i: number }>('SELECT $1::int AS i', [i])).rows[0]?.i).toBe(i);
        }
      }),
    );
  }

  test('notice nothing of RESIZE up and down, PAUSE, RESUME and RECONNECT', async () => {
    const at = await start({ default_pool_size: 10, max_pool_size: 60, max_client_conn: 500 });
    const console = await connectPg(at.adminUrl());
    let isOver = false;
    let rounds = 0;
    const working = async (): Promise<void> => {
      do await load(at, 8);
      while (rounds <= 10);
    };
    const loaded = working().finally(() => (isOver = true));
    loaded.catch(() => undefined);
    const busy = async (): Promise<boolean> => {
      const { rows } = await console.query<{ database: string; sv_active: string }>('SHOW POOLS');
      return rows.some((row) => row.database === database && Number(row.sv_active) > 0);
    };
    await until('the load to be on', busy);
    while (!isOver) {
      const size = [30, 2, 20, 5, 40, 1][rounds++ % 6] ?? 10;
      const { rows } = await console.query(`RESIZE POOL ${database} MIN ${Math.min(size, 3)} MAX ${size}`);
      expect(rows).toMatchObject([{ max: String(size) }]);
      if (rounds % 3 === 0) {
        await console.query(`PAUSE ${database}`);
        expect((await console.query('SHOW SERVERS')).rows).toEqual([]);
        await console.query(`RESUME ${database}`);
      }
      if (rounds % 5 === 0) await console.query('RECONNECT');
      await until('work to go on', async () => isOver || (await busy()));
    }
    await loaded;
  });
});
