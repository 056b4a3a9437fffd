/**
 * Weir as a service of systemd, without systemd: sockets that another process has opened are inherited, and a program stands
 * in for systemd-notify. Fails if a newcomer is lost over a restart, or systemd is not told what its manual asks for.
 */
import { chmodSync, existsSync, mkdtempSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import type pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { checkoutDir, currentRun } from './harness/run-dir.ts';
import {
  Child,
  closeClients,
  connectPg,
  PASSWORD,
  pgUrl,
  startWeir,
  until,
  useCluster,
  weirConfig,
} from './harness/index.ts';
import type { WeirConfig, WeirProcess } from './harness/index.ts';
import { completeConfig } from './harness/weir.ts';

const cluster = useCluster();
let database: string;
let dir: string;
const children: Child[] = [];
const weirs: WeirProcess[] = [];

beforeAll(async () => {
  database = await cluster.createDatabase();
});
beforeEach(() => (dir = mkdtempSync(join(currentRun().dir, 'systemd-'))));
afterEach(async () => {
  await closeClients();
  for (const child of children.splice(0)) await child.kill();
  for (const weir of weirs.splice(0)) if (weir.isRunning) await weir.stop();
});
afterAll(() => cluster.dropDatabase(database));

describe('socket activation', () => {
  interface Opened {
    readonly fd: number;
    readonly port: number;
    /** Weir's descriptor stays open. */
    close(): void;
  }

  async function open(at: { port: number; host: string } | { path: string }): Promise<Opened> {
    const server = createServer();
    // Node removes the file of a Unix socket when it closes it: only under the name that it knows.
    const listen = 'path' in at ? { path: `${at.path}.new` } : at;
    await new Promise<void>((resolve) => server.listen(listen, resolve));
    if ('path' in at) renameSync(`${at.path}.new`, at.path);
    const { fd } = (server as unknown as { _handle: { fd: number } })._handle;
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    return { fd, port, close: () => void server.close() };
  }

  /**
   * What systemd does: holds the sockets, and starts one Weir after the other with them, each when the one before has ended
   * and its file `go` is there.
   */
  const service = `for config in "$@"; do
    until [ -e "$config.go" ]; do sleep 0.05; done
    sh -c 'echo "started $$"; export LISTEN_PID=$$; exec "$0" "$@"' "$NODE" "$WEIR" serve --config "$config"
    echo "ended $?"
  done`;

  interface Service {
    readonly child: Child;
    /** Starts the next Weir. */
    go(): void;
    /** The process ID of the nth Weir. */
    pid(nth: number): number;
  }

  async function makeService(sockets: readonly Opened[], names: string, more: WeirConfig = {}): Promise<Service> {
    const config = await completeConfig(weirConfig(cluster, { database, replicas: [] }, more), dir);
    const files = ['first', 'second'].map((name) => join(dir, `${name}.yaml`));
    for (const file of files) writeFileSync(file, JSON.stringify(config));
    const env = { NODE: process.execPath, WEIR: join(checkoutDir, 'bin/weir.js') };
    const child = new Child(currentRun(), '/bin/sh', ['-c', service, 'sh', ...files], {
      env: { ...process.env, ...env, LISTEN_FDS: String(sockets.length), LISTEN_FDNAMES: names },
      stdio: ['ignore', 'pipe', 'pipe', ...sockets.map(({ fd }) => fd)],
    });
    children.push(child);
    for (const socket of sockets) socket.close();
    let started = 0;
    return {
      child,
      go: () => writeFileSync(`${files[started++] ?? ''}.go`, ''),
      pid: (nth) => Number([...child.output.matchAll(/^started (\d+)$/gm)][nth]?.[1]),
    };
  }

  const listening = (child: Child, times = 1): Promise<unknown> =>
    until('Weir to listen', () => [...child.output.matchAll(/weir: listening on/g)].length === times);
  const local = { host: '127.0.0.1', port: 0 };
  const served = async (client: pg.Client): Promise<void> =>
    expect((await client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);

  test('TCP, Unix and HTTP; those who come before the start, or during a restart, wait and are served', async () => {
    const path = join(dir, '.s.PGSQL.6432');
    const [tcp, unix, http] = [await open(local), await open({ path }), await open(local)];
    const address = { http: `127.0.0.1:${http.port}` };
    const { child, go, pid } = await makeService([tcp, unix, http], 'a:b:c', address);
    const url = pgUrl({ port: tcp.port }, { database });
    const viaUnix: pg.ClientConfig = { host: dir, port: 6432, user: 'app', password: PASSWORD, database };
    const connectUnix = (): Promise<pg.Client> => connectPg('', { connectionString: undefined, ...viaUnix });

    const early = connectPg(url);
    const earlyHealth = fetch(`http://127.0.0.1:${http.port}/healthz`);
    go();
    await listening(child);
    expect(child.output).toContain(`weir: listening on 127.0.0.1:${tcp.port}, http on 127.0.0.1:${http.port}\n`);
    expect((await earlyHealth).status).toBe(200);
    const client = await early;
    await served(client);
    await served(await connectUnix());

    await client.query('BEGIN');
    process.kill(pid(0), 'SIGTERM');
    await until('it to drain', () => child.output.includes('no new clients'));
    const late = [connectPg(url), connectUnix()];
    await served(client);
    await client.query('COMMIT');
    await until('the first to end', () => child.output.includes('ended 0'));
    // The socket belongs to systemd.
    expect(statSync(path).isSocket()).toBe(true);
    go();
    for (const each of await Promise.all(late)) await served(each);
    expect(pid(1)).not.toBe(pid(0));
  });

  test('with several workers, `weir restart` keeps the sockets and the process that systemd has started', async () => {
    const path = join(dir, '.s.PGSQL.6432');
    const [tcp, unix, http] = [await open(local), await open({ path }), await open(local)];
    const more = { http: `127.0.0.1:${http.port}`, workers: 2 };
    const { child, go, pid } = await makeService([tcp, unix, http], 'a:b:c', more);
    const url = pgUrl({ port: tcp.port }, { database });
    go();
    await listening(child);
    const client = await connectPg(url);
    for (let restarts = 1; restarts <= 2; restarts++) {
      process.kill(pid(0), 'SIGUSR2');
      const done = (): boolean =>
        child.output.split('the supervisor and all workers are replaced').length - 1 === restarts;
      await until('the restart', done, { timeoutMs: 200_000 });
      await served(client);
      await served(await connectPg(url));
      const viaUnix = { host: dir, port: 6432, user: 'app', password: PASSWORD, database };
      await served(await connectPg('', { connectionString: undefined, ...viaUnix }));
      expect((await fetch(`http://127.0.0.1:${http.port}/readyz`)).status).toBe(200);
    }
    expect(child.output.match(/^started /gm)).toHaveLength(1);
    await closeClients();
    process.kill(pid(0), 'SIGTERM');
    await until('it to end', () => child.output.includes('ended 0'));
    expect(statSync(path).isSocket()).toBe(true);
  });

  test('a drain that waits for clients refuses newcomers: nobody knows when the next Weir comes', async () => {
    const tcp = await open(local);
    const { child, go, pid } = await makeService([tcp], 'weir.socket');
    const url = pgUrl({ port: tcp.port }, { database });
    go();
    await listening(child);
    const client = await connectPg(url);
    process.kill(pid(0), 'SIGUSR1');
    await until('it to drain', () => child.output.includes('no new clients'));
    await expect(connectPg(url)).rejects.toMatchObject({ code: '57P01' });
    await client.end();
    await until('it to end', () => child.output.includes('ended 0'));
  });

  test('HTTP by name; what is not passed Weir opens itself', async () => {
    const http = await open(local);
    const { child, go } = await makeService([http], 'http');
    go();
    await listening(child);
    const port = /weir: listening on 127\.0\.0\.1:(\d+), http on/.exec(child.output)?.[1];
    await served(await connectPg(pgUrl({ port: Number(port) }, { database })));
    expect((await fetch(`http://127.0.0.1:${http.port}/healthz`)).status).toBe(200);
  });

  test('what cannot be used is said, and nothing starts', async () => {
    const { child, go } = await makeService([await open({ path: join(dir, 'http') })], 'http');
    go();
    await until('it to end', () => child.output.includes('ended 1'));
    expect(child.output).toContain('cannot start: systemd passes');
  });

  test('descriptors for another process are left alone', async () => {
    const weir = await startWeir(weirConfig(cluster, { database, replicas: [] }), {
      env: { LISTEN_PID: '1', LISTEN_FDS: '1' },
    });
    weirs.push(weir);
    await served(await connectPg(weir.url({ database })));
  });
});

describe('what systemd is told', () => {
  let told: string;

  /** @param script what stands in for systemd-notify does; undefined: there is none */
  async function start(
    script: string | undefined,
    more: Record<string, string> = {},
    workers = 1,
  ): Promise<WeirProcess> {
    told = join(dir, 'told');
    if (script !== undefined) {
      writeFileSync(join(dir, 'systemd-notify'), `#!/bin/sh\n${script}\n`);
      chmodSync(join(dir, 'systemd-notify'), 0o755);
    }
    const env = {
      PATH: script === undefined ? dir : `${dir}:${process.env['PATH'] ?? ''}`,
      NOTIFY_SOCKET: '/run/notify',
    };
    const config = weirConfig(cluster, { database, replicas: [] }, { workers });
    const weir = await startWeir(config, { env: { ...env, ...more } });
    weirs.push(weir);
    return weir;
  }
  const noting = (): string => `echo "$@" >> "${join(dir, 'told')}"`;
  const lines = (): string[] => (existsSync(told) ? readFileSync(told, 'utf8').split('\n').slice(0, -1) : []);
  const hears = (what: string): Promise<unknown> => until(what, () => lines().some((line) => line.includes(what)));

  test('ready; reloads that work and that do not; the end', async () => {
    const weir = await start(noting());
    await hears('READY=1');
    expect(lines()).toEqual([expect.stringMatching(/^READY=1 STATUS=listening on 127\.0\.0\.1:\d+, http on /)]);
    const config = readFileSync(weir.configFile, 'utf8');
    weir.rewriteConfig({ ...(JSON.parse(config) as WeirConfig), query_wait_timeout: '7s' });
    weir.signal('SIGHUP');
    await hears('changed query_wait_timeout');
    weir.rewriteConfig('nonsense: 1\n');
    weir.signal('SIGHUP');
    await hears('nothing: ');
    weir.rewriteConfig(config);
    weir.signal('SIGTERM');
    expect(await weir.exited).toEqual({ code: 0, signal: null });
    expect(lines().slice(1)).toEqual([
      expect.stringMatching(/^RELOADING=1 MONOTONIC_USEC=\d+$/),
      expect.stringMatching(/^READY=1 STATUS=reload: changed query_wait_timeout/),
      expect.stringMatching(/^RELOADING=1 MONOTONIC_USEC=\d+$/),
      expect.stringMatching(/^READY=1 STATUS=reload changed nothing: .*nonsense/),
      expect.stringMatching(/^STOPPING=1 STATUS=no new clients; statements/),
      'STOPPING=1 STATUS=stops',
    ]);
  });

  test('a drain that waits for clients is no end yet: TimeoutStopSec= would cut it', async () => {
    const weir = await start(noting());
    const client = await connectPg(weir.url({ database }));
    weir.signal('SIGUSR1');
    await hears('ends when the last one has left');
    expect(lines().join('\n')).not.toContain('STOPPING');
    await client.end();
    expect(await weir.exited).toEqual({ code: 0, signal: null });
    expect(lines().at(-1)).toBe('STOPPING=1 STATUS=stops');
  });

  test('the watchdog, as long as the event loop runs', async () => {
    await start(noting(), { WATCHDOG_USEC: '200000' });
    await until('three signs of life', () => lines().filter((line) => line === 'WATCHDOG=1').length >= 3);
  });

  test('with several workers, also by the supervisor that a restart has put in the place of the first', async () => {
    const weir = await start(noting(), { WATCHDOG_USEC: '200000' }, 2);
    await hears('READY=1');
    const signs = (): number => lines().filter((line) => line === 'WATCHDOG=1').length;
    await until('a sign of life', () => signs() > 0);
    weir.signal('SIGUSR2');
    await until('the restart', () => weir.output.includes('the supervisor and all workers are replaced'), {
      timeoutMs: 200_000,
    });
    const before = signs();
    await until('three more signs of life', () => signs() >= before + 3);
    const config = readFileSync(weir.configFile, 'utf8');
    weir.rewriteConfig({ ...(JSON.parse(config) as WeirConfig), query_wait_timeout: '7s' });
    weir.signal('SIGHUP');
    await hears('changed query_wait_timeout');
    weir.signal('SIGTERM');
    expect(await weir.exited).toEqual({ code: 0, signal: null });
    const told = lines().filter((line) => line !== 'WATCHDOG=1');
    expect(told.filter((line) => line.startsWith('RELOADING=1'))).toHaveLength(1);
    expect(told.slice(-2)).toEqual([expect.stringMatching(/^STOPPING=1 /), 'STOPPING=1 STATUS=stops']);
  });

  test('no systemd-notify, or one that fails: said once, and Weir works', async () => {
    for (const script of [undefined, 'exit 1']) {
      const weir = await start(script, { WATCHDOG_USEC: '100000' });
      await until('the warning', () => weir.output.includes('systemd is told nothing'));
      const client = await connectPg(weir.url({ database }));
      expect((await client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
      await client.end();
      await weir.stop();
      expect(weir.output.match(/systemd is told nothing/g)).toHaveLength(1);
    }
  });
});
