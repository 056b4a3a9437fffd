/**
 * The front of the room: puts ticker, brain, monitor and schema watch together into the Topology of one database.
 * Holds no rules of its own. Made by the app, one per database that clients use.
 */
import type { DatabaseConfig, NodeConfig, RoutingSettings, TlsSide } from '../config/config.ts';
import type { Clock } from '../util/clock.ts';
import { announce } from './announce.ts';
import type { TopologyLog } from './announce.ts';
import { Assessor, differs } from './assess.ts';
import type { Catalog } from '../catalog/types.ts';
import { Monitor } from './monitor.ts';
import { catalogLogins, monitorLogins } from './monitor-logins.ts';
import type { LoginSources } from './monitor-logins.ts';
import { Outcomes } from './outcomes.ts';
import { ProbeError, asProbeFailure } from './probe.ts';
import type { Credentials } from './probe.ts';
import type { ConnectProbe, ProbeQuery } from './samples.ts';
import { SchemaWatch, type CatalogSource, type SchemaWatchOptions } from './schema-watch.ts';
import type { MonitorLogin } from './server-connector.ts';
import { NO_LOGIN } from './server-connector.ts';
import { Presence } from './presence.ts';
import { ServerMonitors } from './server-monitors.ts';
import { createTicker } from './ticker.ts';
import type { NodeFailure, ServerAddress, Topology, TopologySnapshot } from './types.ts';

export interface TopologyOptions {
  readonly database: DatabaseConfig;
  /** The name clients use; under a "*" entry the actual one, which is also the name on the server. */
  readonly databaseName: string;
  readonly routing: Pick<RoutingSettings, 'maxReplicaLagMs' | 'primaryReads'>;
  /** For nodes without user:password in their URL; undefined: those of the primary's URL, if any. */
  readonly monitorCredentials: Credentials | undefined;
  /** tls.server. */
  readonly tls: TlsSide;
  readonly connectTimeoutMs: number;
  readonly clock: Clock;
  readonly log: TopologyLog;
  readonly readCatalog: (query: ProbeQuery) => Promise<Catalog>;
  readonly catalogFingerprint?: (query: ProbeQuery) => Promise<string>;
  readonly onCatalog?: (catalog: Catalog) => void;
  /** For the metric node_ejections_total{reason}. */
  readonly onEjection?: (node: string, reason: NodeFailure) => void;
  /** Shared by all databases, so that a server is watched once; absent: of its own. */
  readonly monitors?: ServerMonitors;
  /** Log-ins of clients that the servers have accepted, for want of better ones. */
  readonly borrowedLogins?: (node: NodeConfig, queryTimeoutMs: number) => readonly MonitorLogin[];
  /** Has there been a client lately? Absent: always. */
  readonly isUsed?: () => boolean;
  /** In place of real connections; for tests. */
  readonly connect?: ConnectProbe;
}

const PROBE_TIMEOUT_MS = 5000;
/** Nobody waits longer than this for the first look around. */
const SETTLE_MS = 3000;
const CATALOG_TIMEOUT_MS = 30_000;

function loginSources(options: TopologyOptions, queryTimeoutMs: number): LoginSources {
  const { database, databaseName, monitorCredentials, tls, connectTimeoutMs } = options;
  return {
    database,
    databaseName,
    monitorCredentials,
    probe: { tls, connectTimeoutMs, queryTimeoutMs },
    borrowed: options.borrowedLogins ?? (() => []),
  };
}

/** For the server as a whole. */
function loginsOf(options: TopologyOptions): (node: NodeConfig) => readonly MonitorLogin[] {
  const { connect } = options;
  if (connect !== undefined) return () => [{ key: '', rank: 0, connect }];
  const sources = loginSources(options, PROBE_TIMEOUT_MS);
  return (node) => monitorLogins(sources, node);
}

/** For the catalog: the first log-in that is accepted at this database. */
function catalogLogin(options: TopologyOptions): Pick<SchemaWatchOptions, 'connect' | 'isOffered'> {
  if (options.connect !== undefined) return { connect: options.connect };
  const sources = loginSources(options, CATALOG_TIMEOUT_MS);
  let used: string | undefined;
  return {
    async connect(node, onLost, signal) {
      let refusal = new ProbeError(NO_LOGIN, false);
      for (const { key, connect } of catalogLogins(sources, node)) {
        try {
          const connection = await connect(node, onLost, signal);
          used = key;
          return connection;
        } catch (error) {
          refusal = asProbeFailure(error, 'cannot connect');
          if (!refusal.isRefused) throw refusal;
        }
      }
      throw refusal;
    },
    isOffered: (node) => catalogLogins(sources, node).some(({ key }) => key === used),
  };
}

function catalogSource(snapshot: TopologySnapshot): CatalogSource | undefined {
  if (snapshot.primary?.isUp) return { node: snapshot.primary.config, isPrimary: true };
  const replica = snapshot.replicas.find((node) => node.isUp && node.role === 'replica');
  return replica === undefined ? undefined : { node: replica.config, isPrimary: false };
}

export function createTopology(options: TopologyOptions): Topology {
  const { clock, log, database } = options;
  const maxReplicaLagMs = options.routing.maxReplicaLagMs;
  const monitors = options.monitors ?? new ServerMonitors();
  const asking = new Set<() => void>();
  const listeners = new Set<(snapshot: TopologySnapshot) => void>();

  const ticker = createTicker(() => monitor.wake());
  const assessor = new Assessor({
    databaseName: options.databaseName,
    database,
    maxReplicaLagMs,
    ticker,
    nowMs: clock.nowMs(),
  });
  const monitor = new Monitor({
    nodes: [database.primary, ...database.replicas],
    assessor,
    ticker,
    join: (member) => monitors.join(member, options.tls, options.connectTimeoutMs, clock),
    logins: loginsOf(options),
    clock,
    maxReplicaLagMs,
    onNews: () => {
      notice();
      for (const listener of [...asking]) listener();
    },
    isUrgent: () => asking.size > 0,
  });
  let catalogProblem: string | undefined;
  const schema = new SchemaWatch({
    ...catalogLogin(options),
    ...(options.isUsed === undefined ? {} : { isUsed: options.isUsed }),
    catalogConnectionsAt: (node) => monitors.catalogConnectionsAt(node),
    source: () => catalogSource(assessor.snapshot),
    readCatalog: options.readCatalog,
    fingerprint: options.catalogFingerprint,
    onCatalog: (catalog) => {
      catalogProblem = undefined;
      log('debug', { event: 'catalog', database: options.databaseName, version: catalog.version }, 'read the catalog');
      options.onCatalog?.(catalog);
    },
    onProblem: (problem) => {
      // Once, though it is tried again and again; that there is no log-in has a line already (announce.ts).
      if (problem === catalogProblem || problem === NO_LOGIN) return;
      catalogProblem = problem;
      log('warn', { event: 'catalog', database: options.databaseName, problem }, problem);
    },
  });

  const indexAt = ({ host, port }: ServerAddress): number =>
    [database.primary, ...database.replicas].findIndex((node) => node.host === host && node.port === port);
  const outcomes = new Outcomes({
    ask: async (server, sql, values) => {
      const index = indexAt(server);
      return monitor.ask(index >= 0 ? index : (assessor.primaryIndex ?? -1), sql, values);
    },
    isKnown: (server) => indexAt(server) >= 0,
    clock,
    log,
    primary: () => assessor.snapshot.primary,
  });

  const presence = new Presence({
    name: database.primary.database ?? options.databaseName,
    clock,
    ask: async (sql, values) => monitor.ask(assessor.primaryIndex ?? -1, sql, values),
  });

  let seen = assessor.snapshot;
  let isSettled = false;
  let startedAtMs = clock.nowMs();

  function hasLookedAround(): boolean {
    if (clock.nowMs() - startedAtMs > SETTLE_MS) return true;
    const { primary, replicas } = assessor.snapshot;
    return (
      (schema.hasTried || schema.isAsleep) &&
      primary !== undefined &&
      replicas.every((node) => !node.isUp || node.lagMs < Infinity)
    );
  }

  /** Tells everybody, if there is something to tell. */
  function notice(): void {
    const before = seen;
    const after = assessor.snapshot;
    if (before === after) return;
    if (differs(before, after)) {
      announce(before, after, log);
      if (before.epoch !== after.epoch && before.epoch > 0) schema.changed();
      else schema.kick();
    } else if (options.routing.primaryReads !== 'never' && after.primary?.isUp) {
      return;
    }
    outcomes.look();
    // Where no primary can step in, reads wait for replicas: then mere progress is news, too.
    seen = after;
    for (const listener of [...listeners]) {
      try {
        listener(after);
      } catch (error) {
        log('error', { event: 'listener', err: error }, 'a listener of the topology failed');
      }
    }
  }

  return {
    database: options.databaseName,
    ticker,
    schema,
    get isSettled() {
      return (isSettled ||= hasLookedAround());
    },
    get problem() {
      return presence.problem ?? (schema.isAsleep ? undefined : schema.problem);
    },
    snapshot: () => assessor.snapshot,
    catalog: () => schema.catalog,
    catalogChanged: () => schema.changed(),

    reportFailure(node, failure, detail) {
      const index = assessor.indexOf(node);
      if (index < 0) return;
      if (assessor.reportFailure(index, clock.nowMs())) {
        log(
          'warn',
          { event: 'ejected', database: options.databaseName, node, reason: failure, detail },
          `${node} is ejected`,
        );
        options.onEjection?.(node, failure);
      }
      monitor.probeNow(index);
      notice();
    },

    reportSuccess(node) {
      const index = assessor.indexOf(node);
      if (index >= 0) assessor.reportSuccess(index);
    },

    suspectRole(node) {
      const index = assessor.indexOf(node);
      if (index >= 0) monitor.probeNow(index);
    },

    setDraining(node, isDraining) {
      const index = assessor.indexOf(node);
      if (index < 0) return false;
      assessor.setDraining(index, isDraining, clock.nowMs());
      notice();
      return true;
    },

    whenGone: (backend) => outcomes.whenGone(backend),
    // It was there when we heard of it: a younger one with the same number is another one.
    whenForeignGone: (backend) => outcomes.whenGone({ ...backend, connectedAtMs: clock.nowMs() }),

    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },

    async ask(node, sql, values = []) {
      return monitor.ask(assessor.indexOf(node), sql, values);
    },

    loginsChanged() {
      monitor.loginsChanged();
      schema.tryAgain();
    },

    use() {
      schema.wake();
      // There is nobody to read it from: those who come then must not be slower than those who are there.
      const isHopeless = catalogSource(assessor.snapshot) === undefined && clock.nowMs() - startedAtMs > SETTLE_MS;
      if (isHopeless) return Promise.resolve();
      return schema.whenKnown(SETTLE_MS);
    },

    askNow(listener) {
      asking.add(listener);
      monitor.askAll();
      return () => asking.delete(listener);
    },

    start() {
      startedAtMs = clock.nowMs();
      monitor.start();
      schema.start();
    },

    async stop() {
      await Promise.all([monitor.stop(), schema.stop()]);
    },
  };
}
