/**
 * SHOW DATABASES and SHOW NODES: the configuration and state of databases and nodes. PgBouncer's columns come first in
 * SHOW DATABASES; `pool_size` there is the size a pool starts with, `max_pool_size` the size it may grow to.
 */
import type { NodeState } from '../topology/types.ts';
import { formatLsn } from '../util/lsn.ts';
import { columnsOf, show } from './types.ts';
import type { CommandContext, ConsoleCommand } from './types.ts';
import { countServers } from './open-servers.ts';
import { consoleLimit, consoleRow } from './pgbouncer-rows.ts';
import type { DatabaseRow } from './sources.ts';

interface DatabaseView {
  readonly row: DatabaseRow;
  readonly servers: number;
  readonly clients: number;
  readonly maxClients: number;
}

function databaseRows({ sources, isPgbouncer }: CommandContext): DatabaseView[] {
  const servers = countServers(sources, ({ database }) => database);
  const clients = new Map<string, number>();
  for (const client of sources.clients()) clients.set(client.database, (clients.get(client.database) ?? 0) + 1);
  const rows: DatabaseView[] = [...sources.databases()].map((row) => ({
    row,
    servers: servers.get(row.name) ?? 0,
    clients: clients.get(row.name) ?? 0,
    maxClients: row.maxDbClientConnections || sources.maxClientConn,
  }));
  if (!isPgbouncer) return rows;
  const maxClients = consoleLimit(sources) || sources.maxClientConn;
  return [...rows, { row: consoleRow(sources), servers: 0, clients: sources.console().clients.length, maxClients }];
}

const d = columnsOf<DatabaseView>();

const databases = show<DatabaseView>(
  'DATABASES',
  'every database as configured',
  [
    d.text('name', ({ row }) => row.name),
    d.text('host', ({ row }) => row.host || null),
    d.int('port', ({ row }) => row.port),
    d.text('database', ({ row }) => row.serverDatabase),
    d.text('force_user', ({ row }) => row.forceUser ?? null),
    d.int('pool_size', ({ row }) => row.defaultPoolSize),
    d.int('min_pool_size', ({ row }) => row.minPoolSize),
    d.int('reserve_pool_size', ({ row }) => row.reservePoolSize),
    d.int('server_lifetime', ({ row }) => row.serverLifetimeMs / 1000),
    d.text('pool_mode', ({ row }) => row.poolMode),
    d.text('load_balance_hosts', ({ row }) => (row.replicas > 0 ? row.loadBalanceHosts : null)),
    d.int('max_connections', ({ row }) => row.maxDbConnections),
    d.int('current_connections', (view) => view.servers),
    d.int('max_client_connections', (view) => view.maxClients),
    d.int('current_client_connections', (view) => view.clients),
    d.int('paused', ({ row }) => (row.isPaused ? 1 : 0)),
    d.int('disabled', ({ row }) => (row.isDisabled ? 1 : 0)),
    d.int('max_pool_size', ({ row }) => row.maxPoolSize),
    d.int('replicas', ({ row }) => row.replicas),
    d.text('problem', ({ row }) => row.problem ?? null),
  ],
  databaseRows,
);

interface NodeRow {
  readonly database: string;
  readonly node: NodeState;
  readonly connections: number;
  readonly nowMs: number;
}

function nodeRows({ sources, nowMs }: CommandContext): NodeRow[] {
  const connections = countServers(sources, ({ database, node }) => `${database}\0${node}`);
  const rows: NodeRow[] = [];
  for (const topology of sources.topologies()) {
    const { database } = topology;
    for (const node of topology.snapshot().nodes) {
      rows.push({ database, node, connections: connections.get(`${database}\0${node.name}`) ?? 0, nowMs });
    }
  }
  return rows;
}

/** One word for the state of a node. */
export function nodeState(node: NodeState, nowMs: number): 'up' | 'down' | 'draining' | 'ejected' {
  if (!node.isUp) return 'down';
  if (node.isDraining) return 'draining';
  return node.ejectedUntilMs > nowMs ? 'ejected' : 'up';
}

const n = columnsOf<NodeRow>();

const nodes = show<NodeRow>(
  'NODES',
  'every PostgreSQL server: role, health, lag, load and what is wrong with it',
  [
    n.text('database', (row) => row.database),
    n.text('node', ({ node }) => node.name),
    n.text('host', ({ node }) => node.config.host),
    n.int('port', ({ node }) => node.config.port),
    n.text('role', ({ node }) => node.role),
    n.text('state', (row) => nodeState(row.node, row.nowMs)),
    n.float('lag_ms', ({ node }) => node.lagMs),
    n.int('lag_bytes', ({ node }) => node.lagBytes),
    n.text('lsn', ({ node }) => (node.lsn > 0 ? formatLsn(node.lsn) : null)),
    n.int('connections', (row) => row.connections),
    n.int('connection_limit', ({ node }) => (node.connectionLimit === 0 ? null : node.connectionLimit)),
    n.int('outstanding', ({ node }) => node.load.outstanding),
    n.float('slowdown', ({ node }) => node.load.ewma),
    n.float('slow_start', ({ node }) => node.slowStart),
    n.float('weight', ({ node }) => node.config.weight),
    n.text('server_version', ({ node }) => node.serverVersion ?? null),
    n.text('problem', ({ node }) => node.problem ?? null),
    n.text('circuit', ({ node }) => node.circuit ?? 'closed'),
    n.text('circuit_reason', ({ node }) =>
      (node.circuit ?? 'closed') === 'closed' ? null : (node.circuitWhy ?? null),
    ),
    n.text('zone', ({ node }) => node.config.zone ?? null),
    n.text('source', ({ node }) => node.config.source ?? 'configuration'),
  ],
  nodeRows,
);

export const showTopology: readonly ConsoleCommand[] = [databases, nodes];
