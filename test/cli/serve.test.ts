/** `weir serve` around an app that only notes what it is told: start, signals, reload, the last net. */
import type { EventEmitter } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { diffConfig } from '../../src/config/change.ts';
import type { Config } from '../../src/config/config.ts';
import type { ServeDeps, ServedApp } from '../../src/cli/serve.ts';
import { WeirError } from '../../src/errors/errors.ts';
import type { RestartRow } from '../../src/console/sources.ts';
import { fakeRestart } from '../console/fakes.ts';
import { fakeProcess, runInMemory } from './run-in-memory.ts';
import type { CliRun } from './run-in-memory.ts';

/** With workers, which it replaces. */
type Restarting = FakeApp & { restart: NonNullable<ServedApp['restart']> };

class FakeApp implements ServedApp {
  readonly calls: string[] = [];
  config: Config;
  readonly deps: ServeDeps;
  users: ReadonlyMap<string, string>;
  /** Why it refuses the next reload. */
  refusal: WeirError | undefined;
  finishDrain: () => void = () => undefined;
  /** Once told to stop. */
  hangs = false;
  finishByItself: () => void = () => undefined;
  readonly unexpected: unknown[] = [];
  readonly ended = new Promise<void>((resolve) => (this.finishByItself = resolve));

  constructor(config: Config, deps: ServeDeps) {
    this.config = config;
    this.deps = deps;
    this.users = deps.users;
  }
  start(): Promise<void> {
    this.calls.push('start');
    return Promise.resolve();
  }
  drain(mode?: string): Promise<void> {
    this.calls.push(mode === undefined ? 'drain' : `drain ${mode}`);
    return new Promise((resolve) => (this.finishDrain = resolve));
  }
  stop(): Promise<void> {
    this.calls.push('stop');
    if (this.hangs) return new Promise(() => undefined);
    return Promise.resolve();
  }
  reload(config: Config, users: ReadonlyMap<string, string>): ReturnType<typeof diffConfig> {
    this.calls.push('reload');
    if (this.refusal !== undefined) throw this.refusal;
    this.users = users;
    const diff = diffConfig(this.config, config);
    this.config = config;
    return diff;
  }
  listenAddress(): { host: string; port: number } {
    return { host: '::1', port: 6432 };
  }
  httpAddress(): { host: string; port: number } {
    return { host: '127.0.0.1', port: 9432 };
  }
  noteUnexpected(error: unknown): void {
    this.unexpected.push(error);
  }
}

interface Serving {
  readonly app: FakeApp;
  readonly events: EventEmitter;
  readonly run: Promise<CliRun>;
  output(): string;
}

let dir = '';
let file = '';
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'weir-serve-'));
  file = join(dir, 'weir.yaml');
  writeFileSync(file, 'databases: { shop: { primary: postgres://app:pw@db1/shop } }\n');
});
afterEach(() => rmSync(dir, { recursive: true }));

async function serving(argv: readonly string[] = ['serve', '--config', file]): Promise<Serving> {
  const events = fakeProcess();
  let output = '';
  let made: (app: FakeApp) => void = () => undefined;
  const app = new Promise<FakeApp>((resolve) => (made = resolve));
  const createApp = (config: Config, deps: ServeDeps): Promise<FakeApp> => {
    const fake = new FakeApp(config, deps);
    made(fake);
    return Promise.resolve(fake);
  };
  const run = runInMemory(argv, {
    deps: { events, loadApp: () => Promise.resolve(createApp) },
    onOutput: (text) => (output += text),
  });
  const started = await app;
  while (events.listenerCount('SIGTERM') === 0) await turn();
  return { app: started, events, run, output: () => output };
}

describe('weir serve', () => {
  it('starts, says where it listens, and gives the app its users', async () => {
    writeFileSync(join(dir, 'users.txt'), '"weir" "w"\n');
    const { app, events, run, output } = await serving();
    expect(output()).toContain('weir: listening on [::1]:6432, http on 127.0.0.1:9432\n');
    expect([...app.deps.users]).toEqual([
      ['app', 'pw'],
      ['weir', 'w'],
    ]);
    expect(app.config.databases.has('shop')).toBe(true);
    events.emit('SIGTERM', 'SIGTERM');
    app.finishDrain();
    expect((await run).code).toBe(0);
  });

  it('flags alone are enough', async () => {
    const flags = ['--primary', 'postgres://app:pw@db1/shop', '--replica', 'postgres://db2', '--listen', '127.0.0.1:0'];
    const { app, events, run } = await serving(['serve', ...flags]);
    expect(app.config.listen.port).toBe(0);
    expect(app.config.databases.get('shop')?.replicas).toHaveLength(1);
    expect([...app.users.keys()]).toEqual(['app']);
    events.emit('SIGINT', 'SIGINT');
    app.finishDrain();
    expect((await run).code).toBe(0);
  });

  it.each(['SIGTERM', 'SIGINT'])('%s drains and waits for it; a second one stops at once', async (signal) => {
    const { app, events, run } = await serving();
    events.emit(signal, signal);
    await turn();
    expect(app.calls).toEqual(['start', 'drain']);
    events.emit(signal, signal);
    expect((await run).code).toBe(1);
    expect(app.calls).toEqual(['start', 'drain', 'stop']);
    expect(events.eventNames()).toEqual([]);
  });

  it('SIGUSR1 waits for clients, however often; SIGTERM then drains, and a second SIGTERM stops at once', async () => {
    const { app, events, run, output } = await serving();
    for (let i = 0; i < 2; i++) events.emit('SIGUSR1', 'SIGUSR1');
    expect(app.calls).toEqual(['start', 'drain wait-for-clients', 'drain wait-for-clients']);
    expect(output()).toContain('weir: SIGUSR1: no new clients; ends when the last one has left');
    events.emit('SIGTERM', 'SIGTERM');
    events.emit('SIGUSR1', 'SIGUSR1');
    expect(app.calls.slice(3)).toEqual(['drain']);
    events.emit('SIGTERM', 'SIGTERM');
    expect((await run).code).toBe(1);
    expect(app.calls.slice(4)).toEqual(['stop']);
  });

  it('shutdown_as: pgbouncer: SIGTERM waits for clients, and SIGUSR2 is ignored then', async () => {
    const { app, events, run, output } = await serving();
    Object.assign(app, { sigtermMode: () => 'wait-for-clients', isDraining: () => app.calls.length > 1 });
    events.emit('SIGTERM', 'SIGTERM');
    events.emit('SIGUSR2', 'SIGUSR2');
    expect(app.calls).toEqual(['start', 'drain wait-for-clients']);
    expect(output()).toContain('SIGTERM: no new clients; ends when the last one has left; once more stops at once');
    events.emit('SIGTERM', 'SIGTERM');
    expect((await run).code).toBe(1);
    expect(app.calls.at(-1)).toBe('stop');
  });

  it('SIGUSR1 alone ends with exit code 0 when the last client has left', async () => {
    const { app, events, run } = await serving();
    events.emit('SIGUSR1', 'SIGUSR1');
    app.finishDrain();
    expect((await run).code).toBe(0);
  });

  it.each([
    [['SIGQUIT'], 0],
    [['SIGTERM', 'SIGQUIT'], 1],
  ])('%j stops at once, exit code %i', async (signals, code) => {
    const { app, events, run } = await serving();
    for (const signal of signals) events.emit(signal, signal);
    expect((await run).code).toBe(code);
    expect(app.calls.at(-1)).toBe('stop');
  });

  it.each([
    [['SIGQUIT'], 0],
    [['SIGQUIT', 'SIGQUIT'], 0],
    [['SIGTERM', 'SIGQUIT'], 1],
    [['SIGTERM', 'SIGTERM'], 1],
  ])('%j ends with the same exit code %i if the app hangs', async (signals, code) => {
    const { app, events, run } = await serving();
    app.hangs = true;
    for (const signal of signals) events.emit(signal, signal);
    expect((await run).code).toBe(code);
  });

  it('SIGUSR2 replaces the workers, says how it ended, and joins what is under way; one process has none', async () => {
    const { app, events, output } = await serving();
    const lines: string[] = [];
    (app as ServedApp).log = (_level, _event, message) => void lines.push(message);
    events.emit('SIGUSR2', 'SIGUSR2');
    expect(lines).toEqual([expect.stringContaining('this Weir is one process (workers: 1)')]);
    const restart = fakeRestart({ state: 'running' });
    let end: (row: RestartRow) => void = () => undefined;
    const over = new Promise<RestartRow>((resolve) => (end = resolve));
    let isJoined = false;
    (app as Restarting).restart = () => ({ restart, isJoined, over });
    events.emit('SIGUSR2', 'SIGUSR2');
    expect(output()).toContain('weir: SIGUSR2: the workers are replaced one by one\n');
    isJoined = true;
    events.emit('SIGUSR2', 'SIGUSR2');
    expect(output()).toContain('weir: SIGUSR2: a restart is under way already\n');
    end(fakeRestart({ state: 'failed', problem: 'no worker is replaced' }));
    await turn();
    expect(output().match(/weir: restart: .*/g)).toEqual(['weir: restart: no worker is replaced']);
  });

  it('SIGUSR2 to one process: a log line as all others', async () => {
    const { app, events, output } = await serving();
    const lines: unknown[] = [];
    (app as ServedApp).log = (...line) => void lines.push(line);
    events.emit('SIGUSR2', 'SIGUSR2');
    const message = 'SIGUSR2: a restart replaces workers one by one, but this Weir is one process (workers: 1)';
    expect(lines).toEqual([['warn', 'restart_refused', message]]);
    expect(output()).not.toContain('SIGUSR2');
  });

  it('ends when the app has ended by itself', async () => {
    const { app, run } = await serving();
    app.finishByItself();
    expect((await run).code).toBe(0);
  });

  it('SIGHUP applies the new file and the new users, and names what needs a restart', async () => {
    const { app, events, run, output } = await serving();
    writeFileSync(join(dir, 'users.txt'), '"new" "n"\n');
    writeFileSync(
      file,
      'listen: 127.0.0.1:7\nmax_pool_size: 9\ndatabases: { shop: { primary: postgres://db2/shop } }\n',
    );
    events.emit('SIGHUP', 'SIGHUP');
    await turn();
    expect(app.calls).toEqual(['start', 'reload']);
    expect([...app.users.keys()]).toEqual(['new']);
    expect(output()).toContain('changed default_pool_size, max_pool_size, auth.file, databases.shop');
    expect(output()).toContain('needs a new start of Weir: listen\n');
    events.emit('SIGTERM', 'SIGTERM');
    app.finishDrain();
    await run;
  });

  it.each([
    'pool_mode: nonsense\ndatabases: {}',
    'databases: { shop: { primary: postgres://db9/shop } }\nauth: { file: bad.txt }',
  ])('a bad file on reload changes nothing: %j', async (text) => {
    const { app, events, run, output } = await serving();
    writeFileSync(join(dir, 'bad.txt'), 'oops\n');
    writeFileSync(file, text);
    events.emit('SIGHUP', 'SIGHUP');
    await turn();
    expect(app.calls).toEqual(['start']);
    expect([...app.users.keys()]).toEqual(['app']);
    expect(output()).toContain('nothing was changed');
    expect(output()).toMatch(/pool_mode: "nonsense"|bad\.txt: line 1/);
    events.emit('SIGTERM', 'SIGTERM');
    app.finishDrain();
    await run;
  });

  it('what a signal does, and what a reload does not, is in the log, which is all that there is in the background', async () => {
    const { app, events, run } = await serving();
    const lines: string[] = [];
    (app as ServedApp).log = (level, event, message) => void lines.push(`${level} ${event} ${message}`);
    const reloaded = async (text: string): Promise<string[]> => {
      writeFileSync(file, text);
      events.emit('SIGHUP', 'SIGHUP');
      await turn();
      return lines.splice(0);
    };
    const databases = 'databases: { shop: { primary: postgres://app:pw@db1/shop } }\n';
    expect(await reloaded(`pool_mode: nonsense\n${databases}`)).toEqual([
      expect.stringMatching(/^warn reload SIGHUP: nothing was changed: .*weir\.yaml:1: pool_mode: "nonsense"/),
    ]);
    expect(await reloaded(`listen: 127.0.0.1:7\n${databases}`)).toEqual([
      'warn reload SIGHUP: needs a new start of Weir: listen',
    ]);
    app.refusal = new WeirError('console_refused', { what: 'nothing was changed: why' });
    expect(await reloaded(databases)).toEqual(['warn reload SIGHUP: nothing was changed: why']);
    events.emit('SIGTERM', 'SIGTERM');
    expect(lines.splice(0)).toEqual(['info signal SIGTERM: draining; once more stops at once']);
    app.finishDrain();
    await run;
  });

  it('a reload that the app refuses is said in words, and is no unexpected error', async () => {
    const { app, events, run, output } = await serving();
    app.refusal = new WeirError('console_refused', {
      what: 'nothing was changed: tls.client.cert: cannot read gone.pem',
    });
    events.emit('SIGHUP', 'SIGHUP');
    await turn();
    expect(output()).toContain('weir: reload: nothing was changed: tls.client.cert: cannot read gone.pem\n');
    expect(app.unexpected).toEqual([]);
    events.emit('SIGTERM', 'SIGTERM');
    app.finishDrain();
    await run;
  });

  it('an error that nobody caught is noted, and serving goes on', async () => {
    const { app, events, run } = await serving();
    events.emit('uncaughtException', new Error('one'));
    events.emit('unhandledRejection', new Error('two'));
    expect(app.unexpected.map(String)).toEqual(['Error: one', 'Error: two']);
    expect(app.calls).toEqual(['start']);
    events.emit('SIGTERM', 'SIGTERM');
    app.finishDrain();
    expect((await run).code).toBe(0);
  });

  it('every problem of the configuration on its own line, exit code 1, and nothing starts', async () => {
    writeFileSync(file, 'pool_mod: x\nlisten: 5\n');
    const { code, err } = await runInMemory(['serve', '--config', file]);
    expect(code).toBe(1);
    expect(err.split('\n')).toHaveLength(3);
    expect(err).toMatch(/weir\.yaml:1: pool_mod: unknown key.*\n.*weir\.yaml:2: listen: 5 is not HOST:PORT/);
  });

  it('more workers than the memory allows: the arithmetic, exit code 1, and nothing starts', async () => {
    writeFileSync(file, `workers: 4\ncache: { enabled: true, max_memory: 1024GB }\n${readFileSync(file, 'utf8')}`);
    const { code, err } = await runInMemory(['serve', '--config', file]);
    expect(code).toBe(1);
    expect(err).toContain('workers: 4: 4 x 60 MB + 5 x 1048576 MB (cache.max_memory, once more for the supervisor) = ');
  });

  it('a bad users file stops the start', async () => {
    writeFileSync(join(dir, 'users.txt'), 'oops\n"a" "hunter2\n');
    const { code, err } = await runInMemory(['serve', '--config', file]);
    expect(code).toBe(1);
    expect(err).toMatch(/users\.txt: line 1: .*\n.*users\.txt: line 2: /);
    expect(err).not.toContain('hunter2');
  });

  it('a log file that cannot be written is named, with the setting and the reason', async () => {
    const log = join(dir, 'gone', 'weir.log');
    writeFileSync(file, `log: { file: ${log} }\n${readFileSync(file, 'utf8')}`);
    const { code, err } = await runInMemory(['serve', '--config', file]);
    expect(code).toBe(1);
    expect(err).toContain(
      `cannot start: log.file (logfile) ${log}: the directory ${join(dir, 'gone')} does not exist\n`,
    );
  });

  it('a port that is taken is said in words', async () => {
    const loadApp = (): Promise<() => Promise<never>> =>
      Promise.resolve(() => Promise.reject(new Error('listen EADDRINUSE: address already in use 127.0.0.1:6432')));
    const { code, err } = await runInMemory(['serve', '--config', file], { deps: { loadApp } });
    expect(code).toBe(1);
    expect(err).toContain('cannot start: listen EADDRINUSE: address already in use 127.0.0.1:6432: another program');
  });
});
