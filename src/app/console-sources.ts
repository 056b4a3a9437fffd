/**
 * Makes the rows that the admin console and the metrics show, at each request. Actions are in console-actions.ts.
 */
import { shownState } from '../backend/server-state.ts';
import type { ConsoleActions, ConsoleSources, DatabaseRow, PreparedRow } from '../console/sources.ts';
import { listSettings } from '../config/show.ts';
import type { Config } from '../config/config.ts';
import type { Forecasting } from '../forecast/forecasting.ts';
import type { ProcessFigures, WorkerFigures } from '../observability/types.ts';
import type { ServerStats } from '../pool/types.ts';
import type { Budgets } from './budgets.ts';
import type { Services } from '../session/context.ts';
import type { DatabaseStats } from '../session/types.ts';
import type { Statements } from '../statements/watch.ts';
import type { Clients } from './clients.ts';
import type { DatabaseRuntime } from './database.ts';
import type { Decodings } from './decodings.ts';
import type { Directory } from './directory.ts';
import type { Memory } from './memory.ts';
import type { Limits } from './limits.ts';
import type { SharedBudget } from './shared-budget.ts';
import type { Watchdog } from './watchdog.ts';

export interface SourceParts {
  readonly version: string;
  config(): Config;
  readonly directory: Directory;
  readonly clients: Clients;
  readonly services: Services & { readonly statements: Pick<Statements, 'figures' | 'reset'> };
  readonly users: ReadonlyMap<string, string>;
  readonly watchdog: Watchdog;
  readonly memory: Memory;
  readonly limits: Limits;
  readonly budgets: Pick<Budgets, 'figures'>;
  readonly connections: Pick<SharedBudget, 'figures'>;
  readonly decodings: Pick<Decodings, 'figures'>;
  readonly forecast: Pick<Forecasting, 'figures'>;
  process(): ProcessFigures;
  isDraining(): boolean;
}

export function createSources(parts: SourceParts, actions: ConsoleActions): ConsoleSources {
  const { directory, clients, services } = parts;
  return {
    ...actions,
    version: parts.version,
    get maxClientConn() {
      return parts.config().maxClientConn;
    },
    get isDraining() {
      return parts.isDraining();
    },
    get isSuspended() {
      return services.turn.suspension.isOn;
    },
    *pools() {
      for (const database of directory.all()) yield* database.pools();
    },
    replicationServers: () => replicationServers(parts),
    *clients() {
      for (const session of clients.all()) yield session.stats();
    },
    databaseStats: () => databaseStats(parts),
    *topologies() {
      for (const database of directory.all()) yield database.topology;
    },
    cacheStats: () => services.cache.stats(),
    *servers() {
      for (const database of directory.all()) yield* serversOf(parts, database);
      yield* replicationServers(parts);
    },
    *databases() {
      for (const database of directory.all()) yield databaseRow(parts, database);
    },
    stuck: () => parts.watchdog.counts,
    memory: () => parts.memory.monitor.figures(),
    limits: () => parts.limits.figures(),
    connectionBudget: () => parts.connections.figures(),
    budgets: () => parts.budgets.figures(),
    decodings: () => parts.decodings.figures(),
    forecast: () => parts.forecast.figures(),
    statements: () => services.statements.figures(),
    settings: () => listSettings(parts.config()),
    users: () => parts.users.keys(),
    workers: () => [ownRow(parts)],
    preparedStatements: () => preparedRows(parts),
    console: () => ({ clients: Array.from(clients.consoles(), (each) => each.stats()), ...clients.consoleCounts }),
  };
}

/** This process, as the only one of its Weir. */
function ownRow(parts: SourceParts): WorkerFigures {
  const { clients, directory } = parts;
  const ofProcess = parts.process();
  let servers = [...clients.replications()].length;
  for (const database of directory.all()) for (const pool of database.pools()) servers += pool.servers().size;
  return {
    number: 1,
    pid: process.pid,
    state: 'ready',
    startedAtMs: ofProcess.startedAtSeconds * 1000,
    restarts: 0,
    deaths: 0,
    version: parts.version,
    clients: [...clients.all()].length,
    servers,
    process: ofProcess,
    memory: parts.memory.monitor.figures(),
  };
}

/** Includes the bytes that connected clients have sent and received so far. */
function databaseStats({ directory, clients }: SourceParts): Iterable<DatabaseStats> {
  const totals = new Map([...directory.all()].map((database) => [database.name, { ...database.stats }]));
  for (const { database, wire } of clients.sessions()) {
    const total = totals.get(database.name);
    if (total === undefined) continue;
    total.receivedBytes += wire.receivedBytes;
    total.sentBytes += wire.sentBytes;
  }
  for (const { database, receivedBytes, sentBytes } of clients.replications()) {
    const total = totals.get(database);
    if (total === undefined) continue;
    total.receivedBytes += receivedBytes;
    total.sentBytes += sentBytes;
  }
  return totals.values();
}

function* serversOf(parts: SourceParts, database: DatabaseRuntime): Iterable<ServerStats> {
  const epochMs = Date.now() - parts.services.nowMs();
  const holders = new Map<number, number>();
  for (const session of parts.clients.sessions())
    if (session.server !== undefined) holders.set(session.server.id, session.identity.id);
  for (const pool of database.pools()) {
    for (const server of pool.servers()) {
      yield {
        id: server.id,
        database: database.name,
        user: pool.user,
        node: server.node.name,
        state: shownState(server.state),
        host: server.node.host,
        port: server.node.port,
        processId: server.processId,
        hasTls: server.login.hasTls,
        connectedAtMs: epochMs + server.connectedAtMs,
        requestAtMs: epochMs + server.requestAtMs,
        clientId: holders.get(server.id) ?? 0,
        preparedStatements: server.prepared.size,
        isCloseNeeded: server.isCloseNeeded,
        serverVersion: server.login.parameters.get('server_version') ?? '',
      };
    }
  }
}

/** Server connections of replication clients, which belong to no pool. */
function* replicationServers({ clients, services }: SourceParts): Iterable<ServerStats> {
  const epochMs = Date.now() - services.nowMs();
  for (const { identity, kind, database, server, connectedAtMs, requestAtMs, serverState } of clients.replications()) {
    const { node, link } = server;
    yield {
      id: server.id,
      database,
      user: server.user,
      node: node.name,
      replication: kind,
      state: serverState,
      host: node.host,
      port: node.port,
      processId: link.processId,
      hasTls: link.hasTls,
      connectedAtMs: epochMs + connectedAtMs,
      requestAtMs: epochMs + requestAtMs,
      clientId: identity.id,
      preparedStatements: 0,
      isCloseNeeded: false,
      serverVersion: link.parameters.get('server_version') ?? '',
    };
  }
}

function databaseRow(parts: SourceParts, database: DatabaseRuntime): DatabaseRow {
  const { configuration } = database;
  const { primary, pool } = configuration;
  return {
    name: database.name,
    host: primary.host,
    port: primary.port,
    serverDatabase: primary.database ?? database.name,
    forceUser: primary.user,
    defaultPoolSize: pool.defaultPoolSize,
    minPoolSize: pool.minPoolSize,
    maxPoolSize: pool.maxPoolSize,
    serverLifetimeMs: pool.serverLifetimeMs,
    poolMode: pool.poolMode,
    loadBalanceHosts: parts.config().routing.loadBalanceHosts,
    maxDbConnections: pool.maxDbConnections,
    maxDbClientConnections: pool.maxDbClientConnections,
    isResizing: parts.config().resize.enabled,
    reservePoolSize: pool.reservePoolSize,
    isPaused: database.paused,
    isDisabled: database.isDisabled,
    // Clients choose the names under "*", so problems of such databases are not shown.
    problem: parts.config().databases.has(database.name) ? database.problem : undefined,
    replicas: configuration.replicas.length,
  };
}

/** A statement may be prepared by clients of several databases: a row for each (database, user) that has it. */
function* preparedRows(parts: SourceParts): Iterable<PreparedRow> {
  const rows = new Map<string, { database: string; user: string; query: string; clients: number; servers: number }>();
  for (const session of parts.clients.sessions()) {
    for (const statement of session.prepared.all.values()) {
      const key = `${session.database.name}\0${session.user}\0${statement.serverName}`;
      const row = rows.get(key);
      if (row !== undefined) row.clients++;
      else {
        const query = statement.sql.toString('utf8', 0, 1_000);
        rows.set(key, { database: session.database.name, user: session.user, query, clients: 1, servers: 0 });
      }
    }
  }
  for (const database of parts.directory.all()) {
    for (const pool of database.pools()) {
      for (const [key, row] of rows) {
        const [name, user, serverName] = key.split('\0') as [string, string, string];
        if (name !== database.name || user !== pool.user) continue;
        for (const server of pool.servers()) if (server.prepared.has(serverName)) row.servers++;
      }
    }
  }
  yield* rows.values();
}
