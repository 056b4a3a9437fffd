/**
 * The roof: puts the rooms together into one proxy, starts and stops it. `createApp` may be called twice in one process;
 * nothing is shared between two apps. Called by `weir serve`, the demo and the tests.
 */
import { readFileSync } from 'node:fs';
import { AuthQuery } from './app/auth-query.ts';
import { createActions } from './app/console-actions.ts';
import { createSources } from './app/console-sources.ts';
import { Clients } from './app/clients.ts';
import { Credentials } from './app/credentials.ts';
import { Directory } from './app/directory.ts';
import { Stops, underWay } from './app/ending.ts';
import { Reception } from './app/reception.ts';
import { Watchdog } from './app/watchdog.ts';
import { createKeyDeriver } from './auth/keys.ts';
import { createCache } from './cache/cache.ts';
import { diffConfig, keepNotReloadable, type ConfigDiff } from './config/change.ts';
import type { Config, HostPort } from './config/config.ts';
import type { Loaded } from './config/load.ts';
import { createConsole } from './console/console.ts';
import { createResizeLoop } from './sizing/resize-loop.ts';
import { WeirError } from './errors.ts';
import { createListener } from './frontend/listener.ts';
import { serverTlsOptions } from './net/tls.ts';
import { TurnWriter } from './net/turn.ts';
import { boundedLog, withoutFigures } from './observability/bounded-log.ts';
import { createHttpServer, type HttpServer } from './observability/http.ts';
import { createLogger, createRepeatLimiter, limitRepeats, withoutNames, type Logger } from './observability/logger.ts';
import { createMetrics } from './observability/metrics.ts';
import type { Pool } from './pool/pool.ts';
import type { PoolStats } from './pool/types.ts';
import { createBinder } from './binding/binder.ts';
import { createLatencyBaselines } from './routing/latency.ts';
import type { Services } from './session/context.ts';
import { StatementBook } from './session/statements.ts';
import type { StuckKind } from './session/types.ts';
import { createClassifier } from './sql/classifier.ts';
import { systemClock } from './util/clock.ts';

export interface AppDeps {
  /** Secrets by user name. */
  readonly users: ReadonlyMap<string, string>;
  /** Reads everything anew, for RELOAD on the admin console. */
  readonly reloadConfig: () => Loaded;
  /** In place of the log that the configuration asks for. */
  readonly logger?: Logger;
}

export interface App {
  start(): Promise<void>;
  /** No new clients; statements and transactions in flight end, then everything is stopped. */
  drain(): Promise<void>;
  stop(): Promise<void>;
  /** Throws a WeirError when something of it cannot be used, and has changed nothing then. */
  reload(config: Config, users: ReadonlyMap<string, string>): Promise<ConfigDiff>;
  listenAddress(): HostPort;
  httpAddress(): HostPort | undefined;
  /** How often the watchdog had to close something. */
  stuck(): Readonly<Record<StuckKind, number>>;
  readonly ended: Promise<void>;
  noteUnexpected(error: unknown): void;
}

/** Clients' deadlines and idle servers are looked after so often. */
const sweepMs = 100;
const sweepsPerClientSweep = 10;
const version = readVersion();

export async function createApp(firstConfig: Config, deps: AppDeps): Promise<App> {
  let config = firstConfig;
  const users = new Map(deps.users);
  const logger = deps.logger ?? createLogger(config.log);
  const nowMs = systemClock.nowMs;
  const lines = boundedLog(logger.log, { nowMs, burst: 50, windowMs: 10_000, kindOf: (event) => event });
  const { log } = lines;
  // Redis may be lost and found again several times a second.
  const ofCache = { nowMs, burst: 1, windowMs: 5_000, kindOf: withoutFigures };
  const cacheLines = boundedLog(log, ofCache);
  const classifier = await createClassifier();
  const peersDdl = (prefix: string | undefined): void => directory.peersDdl(prefix);
  const cache = createCache({ settings: config.cache, log: cacheLines.log, now: nowMs, peersDdl });
  let lastServerId = 0;

  const services: Services = {
    turn: new TurnWriter(),
    classifier,
    binder: createBinder({ readOnlyFunctions: config.routing.readOnlyFunctions, cacheTables: config.cache.tables }),
    cache,
    book: new StatementBook(),
    baselines: createLatencyBaselines(),
    functionCall: classifier.classify(Buffer.from('CALL function_call()')),
    sqlPrepared: classifier.classify(Buffer.from('EXECUTE "\u0001"')),
    nowMs,
    random: Math.random,
    routing: () => config.routing,
    maxEntrySizeBytes: () => config.cache.maxEntrySizeBytes,
    unexpected: (error) => noteUnexpected(error),
    log,
  };
  const credentials = new Credentials(users);
  const keys = createKeyDeriver();
  const nextServerId = (): number => ++lastServerId;
  const clients = new Clients();
  const directory = new Directory({
    config: () => config,
    services,
    users,
    credentials,
    keys,
    nextServerId,
    onResize: (stats) => logResize(stats),
    onEjection: (_node, reason) => metrics.nodeEjected(reason),
    sessions: () => clients.sessions(),
  });
  const authQuery = new AuthQuery({
    config: () => config,
    users,
    keys,
    primaryOf: (database, signal) => directory.primaryOf(database, signal),
    log: limitRepeats(log, createRepeatLimiter(nowMs), withoutNames),
  });
  const watchdog = new Watchdog({
    sessions: () => clients.sessions(),
    databases: () => directory.all(),
    log,
  });
  const parts = { version, config: () => config, directory, clients, services, users, watchdog };
  const sources = createSources(parts, createActions({ ...parts, reload: reloadFromFile, apply, shutdown }));
  const metrics = createMetrics(sources);
  const console = createConsole({ sources, roleOf, nowMs, log });
  const reception = new Reception({
    config: () => config,
    directory,
    clients,
    services,
    console,
    log,
    users,
    credentials,
    authQuery,
    nextServerId,
    metrics,
  });
  const listener = createListener(reception.listenerOptions());
  const resizing = createResizeLoop({
    sources: {
      pools: () => sources.pools() as Iterable<Pool>,
      topologies: () => sources.topologies(),
      settings: () => config.resize,
      poolSettings: (name) => directory.get(name)?.settings() ?? config.pool,
    },
    clock: systemClock,
    // Pools tell of it themselves, at once.
    onResize: () => undefined,
    onError: noteUnexpected,
  });
  let http: HttpServer | undefined;
  let httpPort = 0;
  let sweeper: NodeJS.Timeout | undefined;
  let state: 'new' | 'serving' | 'draining' | 'stopped' = 'new';
  let stopping: Promise<void> | undefined;
  let end: () => void = () => undefined;
  const ended = new Promise<void>((resolve) => (end = resolve));

  function roleOf(user: string): 'admin' | 'stats' | undefined {
    if (config.auth.adminUsers.includes(user)) return 'admin';
    return config.auth.statsUsers.includes(user) ? 'stats' : undefined;
  }

  function noteUnexpected(error: unknown): void {
    metrics.unexpectedError();
    const bug = error instanceof Error ? error : new Error(String(error));
    log('error', 'unexpected_error', bug.message, { stack: bug.stack });
  }

  function logResize({ database, user, node, lastResize }: PoolStats): void {
    if (lastResize === undefined) return;
    const { from, to, reason, why } = lastResize;
    log('info', 'pool_resize', `${database}.${user} on ${node}: ${from} -> ${to}: ${why}`, {
      database,
      user,
      node,
      from,
      to,
      reason,
    });
  }

  /** Certificates are only read here; what cannot be used is refused before anything has changed. */
  async function apply(next: Config, nextUsers: ReadonlyMap<string, string> = users): Promise<void> {
    try {
      if (next.tls.server.mode !== 'disable') serverTlsOptions(next.tls.server, 'localhost');
      listener.reload(next.tls.client, reception.authOptions(next));
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      throw new WeirError('console_refused', { what: `nothing was changed: ${why}` });
    }
    const before = config;
    config = next;
    const secrets = [...nextUsers];
    users.clear();
    for (const [name, secret] of secrets) users.set(name, secret);
    logger.setLevel(next.log.level);
    await directory.reconfigure(before, next);
  }

  async function reload(next: Config, nextUsers: ReadonlyMap<string, string>): Promise<ConfigDiff> {
    const diff = diffConfig(config, next);
    await apply(keepNotReloadable(config, next), nextUsers);
    log('info', 'reload', 'the configuration was reloaded', {
      changed: diff.reloadable,
      needsRestart: diff.notReloadable,
    });
    return diff;
  }

  async function reloadFromFile(): Promise<readonly string[]> {
    const loaded = deps.reloadConfig();
    const { result } = loaded;
    if ('problems' in result)
      throw new WeirError('console_refused', { what: `nothing was changed: ${result.problems.join('; ')}` });
    const { notReloadable } = await reload(result.config, loaded.users);
    return notReloadable.map((key) => `${key} needs a restart`);
  }

  let sweeps = 0;
  function sweep(): void {
    const now = nowMs();
    try {
      directory.sweep(now);
      if (++sweeps % sweepsPerClientSweep !== 0) return;
      for (const session of clients.sessions()) session.sweep(now);
      for (const replication of clients.replications()) replication.sweep();
      watchdog.pass(now);
      cacheLines.flush();
      lines.flush();
    } catch (error) {
      noteUnexpected(error);
    }
  }

  async function start(): Promise<void> {
    await cache.start();
    directory.open(config);
    sweeper = setInterval(sweep, sweepMs);
    sweeper.unref();
    console.start();
    resizing.start();
    try {
      await listener.listen();
      if (config.http !== undefined) {
        http = createHttpServer({
          hosts: () => config.httpHosts,
          listen: config.http,
          metrics,
          sources,
          serving: () => ({
            isListening: state === 'serving' || state === 'draining',
            isDraining: state === 'draining',
          }),
          nowMs,
          log,
        });
        httpPort = await http.listen();
      }
    } catch (error) {
      await stop();
      throw error;
    }
    state = 'serving';
    const { host, port } = listener.address();
    const socketPath = listener.socketPath();
    const where = socketPath === undefined ? `${host}:${port}` : `${host}:${port} and ${socketPath}`;
    log('info', 'listening', `weir ${version} listens on ${where}`);
  }

  async function shutdown(mode: 'now' | 'wait-for-servers' | 'wait-for-clients'): Promise<void> {
    // Who asked gets an answer before its own connection is ended.
    setImmediate(() => {
      void (mode === 'now' ? stop() : drain(mode === 'wait-for-clients')).then(end, noteUnexpected);
    });
  }

  async function drain(waitsForClients = false): Promise<void> {
    if (state !== 'serving') return stop();
    state = 'draining';
    reception.isDraining = true;
    log('info', 'draining', 'no new clients; statements in flight end first', { clients: clients.count });
    const sinceMs = nowMs();
    // Whoever has asked for it on the console is no client that it waits for.
    const left = (): number => clients.count - (waitsForClients ? [...clients.consoles()].length : 0);
    while (left() > 0 && (waitsForClients || nowMs() - sinceMs < config.shutdownTimeoutMs)) {
      if (state !== 'draining') return stop();
      if (!waitsForClients) {
        for (const session of clients.all()) if (session.isIdle) session.terminate(new WeirError('shutting_down'));
        for (const each of clients.consoles()) each.close(new WeirError('shutting_down'));
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    if (clients.count > 0)
      log('warn', 'shutdown_cut', 'shutdown_timeout is over: the rest is cut', underWay(clients, directory));
    await stop();
  }

  /** However often it is asked for, it happens once, and everybody waits for its end. */
  function stop(): Promise<void> {
    return (stopping ??= stopAll());
  }

  async function stopAll(): Promise<void> {
    state = 'stopped';
    reception.isDraining = true;
    clearInterval(sweeper);
    console.stop();
    resizing.stop();
    const stops = new Stops();
    await stops.stop('log-ins', listener.close());
    for (const session of clients.all()) session.terminate(new WeirError('shutting_down'));
    for (const each of clients.consoles()) each.close(new WeirError('shutting_down'));
    authQuery.stop();
    await stops.stop('servers', directory.stop());
    await stops.stop('the cache', cache.stop());
    await stops.stop('http', http?.close());
    stops.done();
    if (stops.late.length > 0) log('warn', 'shutdown_cut', `not waited for any longer: ${stops.late.join(', ')}`);
    metrics.close();
    cacheLines.flush(true);
    lines.flush(true);
    log('info', 'stopped', 'weir has stopped');
    logger.flush();
  }

  return {
    start,
    drain: () => drain(),
    stop,
    reload,
    listenAddress: () => listener.address(),
    httpAddress: () =>
      http === undefined || config.http === undefined ? undefined : { host: config.http.host, port: httpPort },
    stuck: () => watchdog.counts,
    ended,
    noteUnexpected,
  };
}

function readVersion(): string {
  const text = readFileSync(new URL('../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
