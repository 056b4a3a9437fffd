/**
 * `weir restart` against a real Weir: all workers are replaced and the clients stay; a new configuration or new code that cannot
 * start changes nothing, and its words are the answer. Fails when an old worker ends for a new one that does not serve, or when
 * connections that never log in hold it up.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type pg from 'pg';
import { startupMessage } from '../src/protocol/write.ts';
import {
  Child,
  closeClients,
  connectPg,
  linesOf,
  pidOf,
  startWeir,
  until,
  useCluster,
  users,
  weirConfig,
} from './harness/index.ts';
import type { WeirConfig, WeirOptions, WeirProcess } from './harness/index.ts';
import { CertificateAuthority } from './harness/certs.ts';
import { checkoutDir, currentRun } from './harness/run-dir.ts';

let database: string;
let weir: WeirProcess | undefined;

beforeAll(async () => (database = await useCluster().createDatabase()));
afterEach(async () => {
  await closeClients();
  if (weir?.isRunning === true) await weir.stop();
  weir = undefined;
});
afterAll(() => useCluster().dropDatabase(database));

async function start(workers: number, options: WeirOptions = {}, more: WeirConfig = {}): Promise<WeirProcess> {
  weir = await startWeir(weirConfig(useCluster(), { database, replicas: [] }, { workers, ...more }), options);
  return weir;
}

interface Ran {
  readonly code: number | null;
  readonly output: string;
}

async function run(...argv: string[]): Promise<Ran> {
  const env = { ...process.env, WEIR_ADMIN_URL: weir?.adminUrl() };
  const child = new Child(currentRun(), process.execPath, [join(checkoutDir, 'bin/weir.js'), ...argv], { env });
  const { code } = await child.exited;
  return { code, output: child.output };
}

const pids = async (): Promise<unknown[]> => {
  const admin = await connectPg(weir!.adminUrl());
  return (await admin.query<{ pid: string }>('SHOW WORKERS')).rows.map(({ pid }) => pid);
};

test('all workers are replaced, and the clients with their sessions stay; a second request joins', async () => {
  await start(2);
  const clients = await Promise.all(Array.from({ length: 6 }, () => connectPg(weir!.url({ database }))));
  for (const [i, client] of clients.entries()) await client.query(`SET application_name = 'client ${i}'`);
  const before = await pids();
  const [first, second] = await Promise.all([run('restart'), run('restart')]);
  expect(first).toMatchObject({ code: 0 });
  expect(second).toMatchObject({ code: 0 });
  expect(first.output).toContain('all 2 workers are replaced\n');
  expect([first.output, second.output].join('')).toContain('NOTICE: restart 1 was under way already: joined\n');
  for (const [i, client] of clients.entries())
    expect((await client.query('SHOW application_name')).rows).toEqual([{ application_name: `client ${i}` }]);
  const after = await pids();
  expect(after.filter((pid) => before.includes(pid))).toEqual([]);
});

test('a configuration that is refused changes nothing, and is the answer; the next restart is a new one', async () => {
  await start(2);
  const good = readFileSync(weir!.configFile, 'utf8');
  const before = await pids();
  weir!.rewriteConfig({ ...(JSON.parse(good) as Record<string, unknown>), default_pool_size: 'many' });
  const refused = await run('restart');
  expect(refused.code).toBe(1);
  expect(refused.output).toMatch(
    /^ERROR: no worker is replaced, the old ones go on: 3 times in a row, the new supervisor has ended \(exit code 1\): .*default_pool_size/m,
  );
  expect(await pids()).toEqual(before);
  weir!.rewriteConfig(good);
  expect((await run('restart', '--json')).code).toBe(0);
  expect((await pids()).filter((pid) => before.includes(pid))).toEqual([]);
});

test('code that throws before it runs: the old workers go on, and a late worker with --timeout is told', async () => {
  const preload = join(currentRun().dir, `preload-${process.pid}.mjs`);
  writeFileSync(preload, '');
  await start(2, { env: { NODE_OPTIONS: `--import ${preload}` } });
  const before = await pids();
  writeFileSync(preload, "if (process.argv[2] === 'worker') throw new Error('new code is broken');\n");
  const refused = await run('restart');
  expect(refused).toMatchObject({ code: 1 });
  expect(refused.output).toContain('worker 1 has ended (exit code 1): Error: new code is broken');
  expect(await pids()).toEqual(before);
  writeFileSync(preload, "if (process.argv[2] === 'worker') await new Promise((go) => setTimeout(go, 3_000));\n");
  const late = await run('restart', '--timeout', '1s');
  expect(late).toMatchObject({ code: 1 });
  expect(late.output).toContain('0 of 2 workers are replaced after 1s');
  expect((await run('restart')).output).toContain('NOTICE: restart 2 was under way already: joined\n');
});

test('at start: three tries, then exit code 1 with the reason', async () => {
  const preload = join(currentRun().dir, `preload-start-${process.pid}.mjs`);
  writeFileSync(preload, "if (process.argv[2] === 'worker') throw new Error('it never starts');\n");
  const failure = await start(2, { env: { NODE_OPTIONS: `--import ${preload}` } }).then(
    () => '',
    (error: unknown) => String(error),
  );
  expect(failure).toMatch(
    /cannot start: 3 times in a row, worker [12] has ended \(exit code 1\): Error: it never starts/,
  );
  expect(failure.match(/throw new Error/g)).toHaveLength(6);
});

test('a worker that dies and cannot be started again is tried ever later, the others go on, and it comes back', async () => {
  const preload = join(currentRun().dir, `preload-later-${process.pid}.mjs`);
  writeFileSync(preload, '');
  await start(2, { env: { NODE_OPTIONS: `--import ${preload}` } });
  await until('both to serve', () => linesOf(weir!, 'worker_ready').length === 2);
  writeFileSync(preload, "if (process.argv[2] === 'worker') throw new Error('it starts no more');\n");
  process.kill(pidOf(weir!, 1), 'SIGKILL');
  const failures = (): string[] =>
    linesOf(weir!, 'worker_died')
      .map(({ msg }) => String(msg))
      .filter((text) => text.includes('it starts no more'));
  await until('four failures', () => failures().length >= 4, { timeoutMs: 200_000 });
  const pausesMs = failures().map((text) => Number(/it is started again in (\d+) ms/.exec(text)?.[1]));
  expect(pausesMs.slice(0, 4)).toEqual([500, 1_000, 2_000, 4_000]);
  const client = await connectPg(weir!.url({ database }));
  expect((await client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
  writeFileSync(preload, '');
  await until('it to serve again', () => linesOf(weir!, 'worker_ready').length === 3, { timeoutMs: 200_000 });
  expect(linesOf(weir!, 'worker_ready').at(-1)).toMatchObject({ worker: 1 });
});

test('one process says what to do instead', async () => {
  await start(1);
  const { code, output } = await run('restart');
  expect(code).toBe(1);
  expect(output).toContain('ERROR: this Weir is one process (workers: 1)');
  expect(output).toContain('so_reuseport');
});

interface End {
  readonly why: string;
  readonly atMs: number;
}

function noting(ends: End[], client: pg.Client): pg.Client {
  client.on('error', (error: Error & { code?: string }) => {
    if (error.code !== undefined) ends.push({ why: `${error.code} ${error.message}`, atMs: performance.now() });
  });
  return client;
}

test('TLS clients are ended once, late, one after the other, and not in their transactions', async () => {
  const { cert, key } = new CertificateAuthority().server(['localhost']);
  const files = { cert: join(currentRun().dir, 'restart.crt'), key: join(currentRun().dir, 'restart.key') };
  writeFileSync(files.cert, cert);
  writeFileSync(files.key, key);
  await start(2, {}, { tls: { client: { mode: 'allow', ...files } } });
  const ends: End[] = [];
  const open = async (): Promise<pg.Client> =>
    noting(ends, await connectPg(weir!.url({ database }), { ssl: { rejectUnauthorized: false } }));
  const plain = await connectPg(weir!.url({ database }));
  const busy = await open();
  await busy.query('BEGIN');
  for (let i = 0; i < 9; i++) await open();
  const restarted = run('restart');
  await until('the ends', () => ends.length === 9, { timeoutMs: 60_000 });
  expect(new Set(ends.map(({ why }) => why))).toEqual(new Set([expect.stringMatching(/^57P01 .* a restart of Weir/)]));
  expect(ends[8]!.atMs - ends[0]!.atMs).toBeGreaterThan(300);
  // All workers were replaced before: whoever connects again comes to a new one, and stays.
  const again = await open();
  await busy.query('SELECT 1');
  await busy.query('COMMIT');
  const { code, output } = await restarted;
  expect([code, output]).toEqual([
    0,
    expect.stringContaining(
      'all 2 workers are replaced; 10 clients could not change their worker and had to connect again\n',
    ),
  ]);
  expect(ends).toHaveLength(10);
  await again.query('SELECT 1');
  await plain.query('SELECT 1');
});

test('clients that stay pinned are ended last, one after the other; one that gives its server back goes on', async () => {
  await start(2, {}, { shutdown_timeout: '4s', default_pool_size: 20 });
  const ends: End[] = [];
  const clients: pg.Client[] = [];
  for (let i = 0; i < 11; i++) {
    const client = noting(ends, await connectPg(weir!.url({ database })));
    await client.query('LISTEN news');
    clients.push(client);
  }
  const restarted = run('restart');
  const cuts = (): number => linesOf(weir!, 'restart_cut').length;
  await until('both workers to be replaced', () => cuts() === 2, { timeoutMs: 60_000 });
  await clients[0]!.query('UNLISTEN *');
  const { code, output } = await restarted;
  expect([code, output]).toEqual([0, expect.stringContaining('10 clients could not change their worker')]);
  expect(new Set(ends.map(({ why }) => why))).toEqual(new Set([expect.stringMatching(/^57P01 .* a restart of Weir/)]));
  expect(ends).toHaveLength(10);
  expect(ends[9]!.atMs - ends[0]!.atMs).toBeGreaterThan(200);
  await clients[0]!.query('SELECT 1');
});

test('a transaction longer than shutdown_timeout: its client changes its worker when it has ended', async () => {
  await start(2, {}, { shutdown_timeout: '10s' });
  const client = await connectPg(weir!.url({ database }));
  await client.query("SET application_name = 'late'");
  await client.query('BEGIN');
  const restarted = run('restart');
  await until('the time to be over', () => weir!.output.includes('restart_cut'), { timeoutMs: 60_000 });
  await client.query('COMMIT');
  expect((await restarted).code).toBe(0);
  expect((await client.query('SHOW application_name')).rows).toEqual([{ application_name: 'late' }]);
});

/** A connection that says what the test says, and no more. */
class Caller {
  received = '';
  isClosed = false;
  private readonly socket: Socket;

  constructor(at: WeirProcess) {
    this.socket = connect(at.port, at.host);
    this.socket.on('data', (chunk) => (this.received += chunk.toString('latin1')));
    this.socket.on('error', () => undefined).once('close', () => (this.isClosed = true));
  }

  say(bytes: Buffer): void {
    this.socket.write(bytes);
  }

  async isAskedForPassword(): Promise<void> {
    await until('it to be asked for its password', () => this.received !== '' || this.isClosed);
    expect(this.received).toMatch(/^R[^]*SCRAM-SHA-256/);
  }

  close(): void {
    this.socket.destroy();
  }
}

test('connections that do not log in hold up nothing: untouched ones change their worker, others have until the end', async () => {
  // Whatever waits for these hangs.
  await start(2, {}, { shutdown_timeout: '30m', client_login_timeout: '30m' });
  const hello = startupMessage({ user: users.app, database });
  const [silent, midWord, midLogin] = [new Caller(weir!), new Caller(weir!), new Caller(weir!)];
  midWord.say(hello.subarray(0, 9));
  midLogin.say(hello);
  await midLogin.isAskedForPassword();
  const { code, output } = await run('restart');
  expect([code, output]).toEqual([0, expect.stringContaining('all 2 workers are replaced')]);
  expect(output).not.toContain('had to connect again');
  await until('the end of the one that was asked', () => midLogin.isClosed);
  expect(midLogin.received).toContain('57P01');
  silent.say(hello);
  midWord.say(hello.subarray(9));
  await Promise.all([silent.isAskedForPassword(), midWord.isAskedForPassword()]);
  silent.close();
  midWord.close();
  for (const event of ['restart_cut', 'unexpected_error']) expect(linesOf(weir!, event)).toEqual([]);
});
