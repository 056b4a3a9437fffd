/**
 * A Weir that is taken out of service, as a load balancer and Kubernetes see it: /readyz first, then no new clients, then each
 * client at its boundary or when it leaves. Fails if a client is refused too early, cut in mid-work, or waited for in vain.
 */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import type pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { hasReusePort } from '../src/config/checks.ts';
import { query } from '../src/protocol/write.ts';
import { checkoutDir } from './harness/run-dir.ts';
import {
  closeClients,
  connectPg,
  freePort,
  RawClient,
  startWeir,
  until,
  useCluster,
  users,
  weirConfig,
} from './harness/index.ts';
import type { WeirConfig, WeirProcess } from './harness/index.ts';

const cluster = useCluster();
let database: string;
const running: WeirProcess[] = [];

beforeAll(async () => {
  database = await cluster.createDatabase();
  await cluster.query('CREATE TABLE seen (n int)', { database });
  await cluster.query('GRANT ALL ON seen TO PUBLIC', { database });
});
afterEach(async () => {
  await closeClients();
  for (const weir of running.splice(0)) if (weir.isRunning) await weir.stop();
});
afterAll(() => cluster.dropDatabase(database));

async function start(more: WeirConfig = {}): Promise<WeirProcess> {
  const base = { auth: { type: 'trust' }, log: { level: 'info' } };
  const weir = await startWeir(weirConfig(cluster, { database, replicas: [] }, { ...base, ...more }));
  running.push(weir);
  return weir;
}

const connect = (weir: WeirProcess): Promise<pg.Client> => connectPg(weir.url({ database }));
const one = async (client: pg.Client): Promise<unknown> => (await client.query('SELECT 1 AS one')).rows;
const served = [{ one: 1 }];
const readyz = async (weir: WeirProcess): Promise<number> => (await weir.http('/readyz')).status;

/** SQLSTATE of the refusal, or 'served'. */
async function newcomer(weir: WeirProcess): Promise<string> {
  const client = await connect(weir).catch((error: unknown) => error as { code?: string });
  if (!('query' in client)) return client.code ?? String(client);
  await client.end();
  return 'served';
}

interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** @param onError gets what it writes to standard error, as it comes */
function drain(weir: WeirProcess, more: string[] = [], onError?: (text: string) => void): Promise<Ended> {
  const args = [join(checkoutDir, 'bin/weir.js'), 'drain', '--wait', ...more];
  const env = { ...process.env, WEIR_ADMIN_URL: weir.adminUrl() };
  return new Promise((resolve) => {
    const child = execFile(process.execPath, args, { env }, (error, out, err) =>
      resolve({ code: error === null ? 0 : Number(error.code), out, err }),
    );
    child.stderr?.on('data', (text: Buffer | string) => onError?.(String(text)));
  });
}

const drained = (weir: WeirProcess): Promise<unknown> =>
  until('new clients to be refused', () => weir.output.includes('no new clients'));

describe('shutdown_delay', () => {
  test('/readyz says 503 while new clients are still served; after it none, and idle ones end', async () => {
    const weir = await start({ shutdown_delay: '1h' });
    const client = await connect(weir);
    const ended = new Promise<unknown>((resolve) => client.once('error', resolve));
    weir.signal('SIGTERM');
    await until('/readyz to say 503', async () => (await readyz(weir)) === 503);
    expect((await weir.http('/readyz')).body).toContain('Weir is shutting down');
    expect((await weir.http('/healthz')).status).toBe(200);
    expect([await newcomer(weir), await one(client)]).toEqual(['served', served]);
    const console = await connectPg(weir.adminUrl());
    expect((await console.query('SHOW STATE')).rows).toContainEqual({ key: 'draining', value: 'yes' });
    await console.query(`SET shutdown_delay = '1ms'`);
    expect(await ended).toMatchObject({ code: '57P01' });
    expect(await weir.exited).toEqual({ code: 0, signal: null });
  });

  test('a second SIGTERM does not wait for its end', async () => {
    const weir = await start({ shutdown_delay: '1h' });
    weir.signal('SIGTERM');
    await until('it to drain', () => weir.output.includes('shutdown_delay'));
    weir.signal('SIGTERM');
    expect(await weir.exited).toMatchObject({ code: 1 });
  });
});

test('SIGTERM: each client ends at its own boundary, in a transaction, with a pipeline under way, and idle', async () => {
  const weir = await start();
  const [idle, open] = await Promise.all([connect(weir), connect(weir)]);
  const piped = await RawClient.connect(weir, { user: users.app, database });
  await open.query('BEGIN');
  await open.query('INSERT INTO seen VALUES (1)');
  const ended = new Promise<unknown>((resolve) => idle.once('error', resolve));
  const openEnded = new Promise<unknown>((resolve) => open.once('error', resolve));
  const answers = [piped.next(), piped.next(), piped.next()];
  const texts = [`SELECT 'a' FROM pg_sleep(1)`, 'INSERT INTO seen VALUES (2)', `SELECT 'c' FROM pg_sleep(0.2)`];
  await piped.send(Buffer.concat(texts.map(query)));
  const asleep = `SELECT 1 FROM pg_stat_activity WHERE datname = $1 AND query LIKE '%pg_sleep(1)%' AND state = 'active'`;
  await until('the pipeline to run', async () => (await cluster.query(asleep, { values: [database] })).length > 0);
  const closed = new Promise((resolve) => piped.socket.once('close', resolve));
  weir.signal('SIGTERM');
  expect(await ended).toMatchObject({ code: '57P01' });
  expect(await newcomer(weir)).toBe('57P01');
  expect((await Promise.all(answers)).map(({ values }) => values)).toEqual([['a'], [], ['c']]);
  await closed;
  await open.query('INSERT INTO seen VALUES (3)');
  expect(weir.isRunning).toBe(true);
  await open.query('COMMIT');
  expect(await openEnded).toMatchObject({ code: '57P01' });
  expect(await weir.exited).toEqual({ code: 0, signal: null });
  expect(await cluster.query('SELECT n FROM seen ORDER BY n', { database })).toEqual([{ n: 1 }, { n: 2 }, { n: 3 }]);
});

describe('weir drain --wait', () => {
  test('ends with exit code 0 when the last client has left, and Weir ends, too', async () => {
    const weir = await start();
    const [first, second] = await Promise.all([connect(weir), connect(weir)]);
    const done = drain(weir);
    await drained(weir);
    expect([await readyz(weir), await newcomer(weir)]).toEqual([503, '57P01']);
    await first.end();
    // Those who are connected may stay, idle or not.
    expect(await one(second)).toEqual(served);
    await second.query('BEGIN');
    expect(await one(second)).toEqual(served);
    await second.end();
    expect(await done).toMatchObject({ code: 0, out: 'the last client has left\n' });
    expect(await weir.exited).toEqual({ code: 0, signal: null });
  });

  test('at once where nobody is connected', async () => {
    const weir = await start();
    expect(await drain(weir)).toMatchObject({ code: 0, err: '' });
    expect(await weir.exited).toEqual({ code: 0, signal: null });
  });

  test('too late: exit code 1 and how many are left; another may wait on; SIGTERM ends them at their boundaries', async () => {
    const weir = await start();
    const [idle, open] = await Promise.all([connect(weir), connect(weir)]);
    await open.query('BEGIN');
    const late = await drain(weir, ['--timeout', '300ms']);
    expect([late.code, late.out]).toEqual([1, '']);
    expect(late.err).toContain('2 clients are still connected after 300ms\n');
    expect([await one(idle), weir.isRunning]).toEqual([served, true]);
    let said = '';
    const again = drain(weir, [], (text) => (said += text));
    await until('the second to wait', () => said.includes('no new clients; 2 clients are still connected'));
    const ended = new Promise<unknown>((resolve) => idle.once('error', resolve));
    weir.signal('SIGTERM');
    expect(await ended).toMatchObject({ code: '57P01' });
    // Not the last client: the open transaction goes on.
    expect(await again).toMatchObject({ code: 1, out: '' });
    expect(await one(open)).toEqual(served);
    await open.query('COMMIT');
    expect(await weir.exited).toEqual({ code: 0, signal: null });
  });
});

describe('signals', () => {
  test('SIGUSR1 waits for the last client, and opens no debugger', async () => {
    const weir = await start();
    const client = await connect(weir);
    for (let i = 0; i < 2; i++) weir.signal('SIGUSR1');
    await drained(weir);
    expect([await newcomer(weir), await one(client)]).toEqual(['57P01', served]);
    await client.end();
    expect(await weir.exited).toEqual({ code: 0, signal: null });
    expect(weir.output).not.toMatch(/debugger/i);
    expect(weir.logs.filter(({ event }) => event === 'shutdown_cut')).toEqual([]);
  });

  test('SIGTERM after SIGUSR1 drains, a second one stops at once', async () => {
    const weir = await start();
    const [idle, open] = await Promise.all([connect(weir), connect(weir)]);
    await open.query('BEGIN');
    weir.signal('SIGUSR1');
    await drained(weir);
    const ended = new Promise<unknown>((resolve) => idle.once('error', resolve));
    weir.signal('SIGTERM');
    expect(await ended).toMatchObject({ code: '57P01' });
    expect(await one(open)).toEqual(served);
    weir.signal('SIGTERM');
    expect(await weir.exited).toMatchObject({ code: 1 });
    await expect(one(open)).rejects.toThrow();
  });

  test('SIGQUIT stops at once, with exit code 0', async () => {
    const weir = await start();
    const open = await connect(weir);
    await open.query('BEGIN');
    const ended = new Promise<unknown>((resolve) => open.once('error', resolve));
    weir.signal('SIGQUIT');
    expect(await ended).toMatchObject({ code: '57P01' });
    expect(await weir.exited).toEqual({ code: 0, signal: null });
  });
});

describe('so_reuseport', () => {
  const canShare = hasReusePort(process.versions.node);

  test.runIf(canShare)(
    'old and new side by side: after SIGTERM to the old one all newcomers reach the new one',
    async () => {
      const listen = `127.0.0.1:${await freePort()}`;
      const before = await start({ so_reuseport: true, listen });
      const client = await connect(before);
      await client.query('BEGIN');
      const after = await start({ so_reuseport: true, listen });
      before.signal('SIGTERM');
      await drained(before);
      for (let i = 0; i < 20; i++) expect(await newcomer(after)).toBe('served');
      expect(await one(client)).toEqual(served);
      await client.query('COMMIT');
      expect(await before.exited).toEqual({ code: 0, signal: null });
      expect(await newcomer(after)).toBe('served');
    },
  );

  test.runIf(!canShare)('is refused in words by a Node that cannot', async () => {
    const refused = start({ so_reuseport: true }).then(
      () => 'started',
      (error: Error) => `${error.message} ${String(error.cause)}`,
    );
    expect(await refused).toContain('so_reuseport: true needs Node 22.12, 23.1 or later; this is Node 2');
  });
});

describe('shutdown_as: pgbouncer', () => {
  const asPgbouncer = { shutdown_as: 'pgbouncer', shutdown_timeout: '1ms' };
  const errorOf = (client: pg.Client): Promise<unknown> => new Promise((resolve) => client.once('error', resolve));

  test('SIGTERM closes the port and waits until the last client has left; a second one stops at once', async () => {
    const [weir, other] = await Promise.all([start(asPgbouncer), start(asPgbouncer)]);
    const [client, stays] = await Promise.all([connect(weir), connect(other)]);
    for (const each of [weir, other]) each.signal('SIGTERM');
    await Promise.all([drained(weir), drained(other)]);
    expect(await newcomer(weir)).toBe('ECONNREFUSED');
    expect([await one(client), await one(stays)]).toEqual([served, served]);
    await client.end();
    expect(await weir.exited).toEqual({ code: 0, signal: null });
    const ended = errorOf(stays);
    other.signal('SIGTERM');
    expect(await ended).toMatchObject({ code: '57P01' });
    expect(await other.exited).toMatchObject({ code: 1 });
  });

  test('SIGINT: a transaction goes on, whoever asks for another server is ended, and idle clients are when it is over', async () => {
    const weir = await start(asPgbouncer);
    const [open, idle, asks] = await Promise.all([connect(weir), connect(weir), connect(weir)]);
    await open.query('BEGIN');
    weir.signal('SIGINT');
    await drained(weir);
    expect(await one(open)).toEqual(served);
    await expect(asks.query('SELECT 1 AS one')).rejects.toMatchObject({ code: '57P01' });
    expect(await one(open)).toEqual(served);
    const ended = errorOf(idle);
    open.on('error', () => undefined);
    await open.query('COMMIT');
    expect(await ended).toMatchObject({ code: '57P01' });
    expect(await weir.exited).toEqual({ code: 0, signal: null });
  });

  test('SIGINT: a session keeps its server until the client leaves, and SIGUSR2 is ignored meanwhile', async () => {
    const weir = await start({ ...asPgbouncer, pool_mode: 'session', log: { level: 'info', format: 'pgbouncer' } });
    const client = await connect(weir);
    await one(client);
    weir.signal('SIGINT');
    await drained(weir);
    weir.signal('SIGUSR2');
    await until('its line', () => weir.output.includes('got SIGUSR2 while shutting down, ignoring'));
    expect(await one(client)).toEqual(served);
    await client.end();
    expect(await weir.exited).toEqual({ code: 0, signal: null });
  });
});
