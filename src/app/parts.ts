/**
 * The objects of one app: makes the main object of each room and gives it the others that it needs. Made by app.ts. Starts and
 * stops nothing: that is lifecycle.ts. Console commands such as RELOAD and SHUTDOWN are passed on to `requests`.
 */
import { createKeyDeriver, type KeyDeriver } from '../auth/keys.ts';
import type { ResultCache } from '../cache/types.ts';
import { createConsole, type Console } from '../console/console.ts';
import type { ConsoleSources, Gather } from '../console/sources.ts';
import { createListener, type Listener } from '../frontend/listener.ts';
import { createReceiver } from '../frontend/receiver.ts';
import { limitRepeats } from '../observability/bounded-log.ts';
import { createMetrics, type Metrics } from '../observability/metrics.ts';
import { NodeBudgets } from '../pool/budget.ts';
import type { Classifier } from '../sql/facts.ts';
import { systemClock } from '../util/clock.ts';
import { createGather } from '../workers/all-workers.ts';
import { roleOnConsole } from './access.ts';
import { AuthQuery } from './auth-query.ts';
import { Clients } from './clients.ts';
import { createActions, type ActionParts } from './console-actions.ts';
import { createSources, type SourceParts } from './console-sources.ts';
import { Credentials } from './credentials.ts';
import type { Current } from './current.ts';
import { Directory } from './directory.ts';
import { HandOvers } from './hand-overs.ts';
import type { Logs } from './logs.ts';
import { Memory } from './memory.ts';
import { poolLog } from './pool-log.ts';
import { Reception } from './reception.ts';
import { createRegular, type Regular } from './regular.ts';
import { createServices, type AppServices } from './services.ts';
import { createSharedCache } from './shared-cache.ts';
import type { WorkerLink } from '../workers/worker-link.ts';
import { LeasedPlaces } from '../workers/leased-places.ts';
import type { SharedMonitors } from '../workers/shared-monitors.ts';
import { Watchdog } from './watchdog.ts';
import { shareMonitors } from './worker-monitors.ts';

export interface PartsOptions {
  readonly version: string;
  readonly current: Current;
  readonly logs: Logs;
  readonly classifier: Classifier;
  readonly requests: Pick<ActionParts, 'reload' | 'apply' | 'shutdown'> & Pick<SourceParts, 'isDraining'>;
  /** Undefined: this process is the whole Weir. */
  readonly worker: WorkerLink | undefined;
}

/** The parts that hold passwords and keys. */
interface Secrets {
  readonly credentials: Credentials;
  readonly keys: KeyDeriver;
}

/** What the workers of one Weir have together. */
interface SharedWithWorkers {
  /** Places for server connections. */
  readonly places: LeasedPlaces;
  /** Of the servers. */
  readonly monitors: SharedMonitors;
  /** The figures and actions of all. */
  readonly gather: Gather;
}

/** The parts that turn a connection into a session. */
interface Entrance {
  readonly listener: Listener;
  readonly reception: Reception;
  readonly console: Console;
  /** Clients that have logged in to another process of this Weir. */
  readonly handOvers: HandOvers;
}

export class Parts {
  readonly clients: Clients;
  readonly directory: Directory;
  readonly authQuery: AuthQuery;
  readonly memory: Memory;
  readonly watchdog: Watchdog;
  readonly sources: ConsoleSources;
  readonly metrics: Metrics;
  readonly entrance: Entrance;
  readonly regular: Regular;
  private readonly options: PartsOptions;
  /** Undefined: this process is the whole Weir. */
  private readonly shared: SharedWithWorkers | undefined;
  readonly services: AppServices;
  private readonly secrets: Secrets;

  constructor(options: PartsOptions) {
    this.options = options;
    const { current, logs, worker } = options;
    this.clients = new Clients(undefined, worker?.numbers, current.config.peerId);
    const cache = createSharedCache(worker, current, {
      log: logs.cacheLog,
      now: systemClock.nowMs,
      peersDdl: (prefix, about) => this.directory.peersDdl(prefix, about),
    });
    const { noteUnexpected } = this;
    const spansDropped: Metrics['spansDropped'] = (reason, count) => this.metrics.spansDropped(reason, count);
    this.services = createServices({ ...options, cache, noteUnexpected, spansDropped });
    const { clients, services } = this;
    this.memory = new Memory({
      ...{ current, clients, services, processes: worker?.workers ?? 1, log: logs.log },
      onError: noteUnexpected,
    });
    this.secrets = { credentials: new Credentials(current.users), keys: createKeyDeriver() };
    this.shared = worker === undefined ? undefined : this.makeShared(worker);
    this.directory = this.makeDirectory();
    this.authQuery = this.makeAuthQuery();
    this.watchdog = new Watchdog({
      sessions: () => this.clients.sessions(),
      databases: () => this.directory.all(),
      log: logs.log,
    });
    this.sources = this.makeSources();
    this.metrics = createMetrics(this.sources, this.totals);
    this.entrance = this.makeEntrance();
    this.regular = this.makeRegular();
  }

  get cache(): ResultCache {
    return this.services.cache;
  }

  /** The figures of all workers; undefined: `sources` are all of it. */
  get gather(): Gather | undefined {
    return this.shared?.gather;
  }

  /** For /metrics and HTTP. */
  get totals(): (() => Promise<ConsoleSources>) | undefined {
    const { gather } = this;
    return gather && (() => gather('totals'));
  }

  /** Logs and counts an error that no code expects: a bug. */
  readonly noteUnexpected = (error: unknown): void => {
    this.metrics.unexpectedError();
    const bug = error instanceof Error ? error : new Error(String(error));
    this.options.logs.log('error', 'unexpected_error', bug.message, { stack: bug.stack });
  };

  private makeDirectory(): Directory {
    const { current } = this.options;
    const shared = {
      config: () => current.config,
      services: this.services,
      serverLog: this.services.serverLog,
      users: current.users,
      ...this.secrets,
      budgets: this.shared?.places ?? new NodeBudgets(),
      connectionBudget: () => this.regular.connections,
      processes: this.options.worker?.workers ?? 1,
      welcomePeers: this.options.worker?.welcomePeers,
      nextServerId: () => this.clients.nextNumber(),
      ...poolLog(this.options.logs.log, this.shared !== undefined),
      onEjection: (_node: string, reason: string) => this.metrics.nodeEjected(reason),
      sessions: () => this.clients.sessions(),
    };
    return new Directory(shared, this.shared?.monitors);
  }

  private makeShared(worker: WorkerLink): SharedWithWorkers {
    const { current } = this.options;
    const { channel } = worker;
    const places = new LeasedPlaces({
      channel,
      onSize: (pool, size, resize) => this.directory.get(pool.database)?.setPoolSize(pool, size, resize),
    });
    const { credentials } = this.secrets;
    const monitors = shareMonitors({ worker, current, credentials, directory: () => this.directory });
    const gather = createGather(channel, { sources: () => this.sources, nowMs: systemClock.nowMs });
    return { places, monitors, gather };
  }

  private makeAuthQuery(): AuthQuery {
    const { current, logs } = this.options;
    return new AuthQuery({
      config: () => current.config,
      users: current.users,
      keys: this.secrets.keys,
      primaryOf: (database, signal) => this.directory.primaryOf(database, signal),
      isDisabled: (database) => this.directory.admits(database) === 'disabled',
      log: limitRepeats(logs.log, systemClock.nowMs),
    });
  }

  private makeSources(): ConsoleSources {
    const { version, current, requests, worker } = this.options;
    const { directory, clients, services, watchdog, memory } = this;
    const parts = {
      version,
      config: () => current.config,
      ...{ directory, clients, services, watchdog, memory, users: current.users },
      budgets: { figures: () => this.regular.budgets.figures() },
      connections: { figures: () => this.regular.connections.figures() },
      decodings: { figures: () => this.regular.decodings.figures() },
      ...{ limits: services.limits, forecast: services.forecast },
      process: () => this.metrics.ofProcess(),
      isDraining: requests.isDraining,
    };
    return createSources(parts, createActions({ ...parts, ...requests, worker }));
  }

  private makeRegular(): Regular {
    const { current, logs, worker } = this.options;
    const { directory, services, shared, sources, totals, noteUnexpected: onError } = this;
    return createRegular({ current, log: logs.log, worker, directory, services, shared, sources, totals, onError });
  }

  private makeConsole(): Console {
    const { current, logs } = this.options;
    return createConsole({
      sources: this.sources,
      gather: this.shared?.gather,
      roleOf: (user) => roleOnConsole(user, current.config),
      ...{ nowMs: systemClock.nowMs, log: logs.log, wholeLog: logs.whole, counts: this.clients.consoleCounts },
    });
  }

  private makeEntrance(): Entrance {
    const { current, logs, worker } = this.options;
    const console = this.makeConsole();
    const reception = new Reception({
      config: () => current.config,
      directory: this.directory,
      clients: this.clients,
      services: this.services,
      console,
      log: logs.log,
      users: current.users,
      credentials: this.secrets.credentials,
      authQuery: this.authQuery,
      nextServerId: () => this.clients.nextNumber(),
      metrics: this.metrics,
      memory: this.memory.monitor.gate,
      limits: this.services.limits,
      worker,
    });
    const listenerOptions = reception.listenerOptions();
    const listener = worker === undefined ? createListener(listenerOptions) : createReceiver(listenerOptions, worker);
    return { console, reception, listener, handOvers: this.makeHandOvers(reception, listener) };
  }

  private makeHandOvers(reception: Reception, listener: Listener): HandOvers {
    const { current } = this.options;
    return new HandOvers({
      config: () => current.config,
      clients: this.clients,
      directory: this.directory,
      services: this.services,
      users: current.users,
      credentials: this.secrets.credentials,
      reception,
      listener,
    });
  }
}
