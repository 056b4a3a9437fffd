/**
 * SHOW POOLS, CLIENTS and SERVERS. PgBouncer's columns come first, with its names and meanings (PgBouncer manual, "Show
 * commands"), then Weir's own. A column for something that Weir does not have is 0, '' or NULL.
 */
import type { ReplicationKind } from '../auth/types.ts';
import type { PoolStats, ServerStats } from '../pool/types.ts';
import type { ClientStats } from '../session/types.ts';
import { columnsOf, show, splitWait, timestamp } from './types.ts';
import type { CommandContext, ConsoleCommand, ShowColumn } from './types.ts';
import { emptyPool } from './open-servers.ts';
import type { ConsoleSources, DatabaseRow } from './sources.ts';

interface PoolRow {
  readonly pool: PoolStats;
  readonly clients: number;
  readonly loadBalanceHosts: string | null;
}

const key = (...parts: readonly string[]): string => parts.join('\0');

/**
 * A client without a server connection belongs to no node. It is counted in the first row of its database and user, so
 * that the sum of the column is the number of clients.
 */
function poolRows({ sources }: CommandContext): PoolRow[] {
  const databases = new Map(Array.from(sources.databases(), (row) => [row.name, row]));
  const clients = new Map<string, number>();
  for (const client of sources.clients()) {
    if (client.state === 'waiting') continue;
    const at = key(client.database, databases.get(client.database)?.forceUser ?? client.user, client.node);
    clients.set(at, (clients.get(at) ?? 0) + 1);
  }
  const take = (counts: Map<string, number>, at: string): number => {
    const count = counts.get(at) ?? 0;
    counts.delete(at);
    return count;
  };
  return poolsWithReplication(sources, databases).map((pool) => {
    const here = take(clients, key(pool.database, pool.user, pool.node));
    const free = take(clients, key(pool.database, pool.user, ''));
    const database = databases.get(pool.database);
    const loadBalanceHosts = database !== undefined && database.replicas > 0 ? database.loadBalanceHosts : null;
    return { pool, clients: here + free, loadBalanceHosts };
  });
}

/** Adds the servers of replication clients to `sv_active` in the pool of their user, as PgBouncer does. */
function poolsWithReplication(sources: ConsoleSources, databases: ReadonlyMap<string, DatabaseRow>): PoolStats[] {
  const pools = new Map<string, PoolStats>();
  const keyOf = ({ database, user, node }: Pick<PoolStats, 'database' | 'user' | 'node'>): string =>
    key(database, user, node);
  for (const control of sources.pools()) {
    const pool = control.stats();
    pools.set(keyOf(pool), pool);
  }
  for (const server of sources.replicationServers()) {
    const row = databases.get(server.database);
    if (row === undefined) continue;
    const pool = pools.get(keyOf(server)) ?? emptyPool(row, server.user, server.node);
    pools.set(keyOf(server), { ...pool, active: pool.active + 1 });
  }
  return [...pools.values()];
}

/** The last resize of a pool, in words: "20 -> 28 (pressure): clients waited 38 ms"; null: none yet. */
export function describeResize(pool: PoolStats): string | null {
  const last = pool.lastResize;
  return last === undefined ? null : `${last.from} -> ${last.to} (${last.reason}): ${last.why}`;
}

const p = columnsOf<PoolRow>();

const pools = show<PoolRow>(
  'POOLS',
  'every pool: its clients, its servers, its size and why it was last resized',
  [
    p.text('database', ({ pool }) => pool.database),
    p.text('user', ({ pool }) => pool.user),
    p.int('cl_active', (row) => row.clients),
    p.int('cl_waiting', ({ pool }) => pool.waiting),
    p.int('cl_active_cancel_req', () => 0),
    p.int('cl_waiting_cancel_req', () => 0),
    p.int('sv_active', ({ pool }) => pool.active),
    p.int('sv_active_cancel', () => 0),
    p.int('sv_being_canceled', () => 0),
    p.int('sv_idle', ({ pool }) => pool.idle),
    p.int('sv_used', () => 0),
    p.int('sv_tested', ({ pool }) => pool.resetting),
    p.int('sv_login', ({ pool }) => pool.login),
    p.int('maxwait', ({ pool }) => splitWait(pool.maxWaitMs).seconds),
    p.int('maxwait_us', ({ pool }) => splitWait(pool.maxWaitMs).microseconds),
    p.text('pool_mode', ({ pool }) => pool.poolMode),
    p.text('load_balance_hosts', (row) => row.loadBalanceHosts),
    p.text('node', ({ pool }) => pool.node),
    p.int('limit', ({ pool }) => pool.limit),
    p.int('min', ({ pool }) => pool.min),
    p.int('max', ({ pool }) => pool.max),
    p.int('pinned', ({ pool }) => pool.pinned),
    p.int('resetting', ({ pool }) => pool.resetting),
    p.int('paused', ({ pool }) => (pool.isPaused ? 1 : 0)),
    p.int('statements_at_once', ({ pool }) => pool.atOnce ?? null),
    p.int('overloaded', ({ pool }) => (pool.isOverloaded ? 1 : 0)),
    p.int('checkouts', ({ pool }) => pool.checkouts),
    p.int('waits', ({ pool }) => pool.waits),
    p.int('avg_wait_us', ({ pool }) => (pool.waits > 0 ? (pool.waitedTotalMs / pool.waits) * 1000 : 0)),
    p.int('wait_timeouts', ({ pool }) => pool.waitTimeouts),
    p.int('early_refusals', ({ pool }) => pool.earlyRefusals),
    p.int('connects', ({ pool }) => pool.connects),
    p.int('connect_failures', ({ pool }) => pool.connectFailures),
    p.text('connect_problem', ({ pool }) => pool.connectProblem ?? null),
    p.text('last_resize', ({ pool }) => describeResize(pool)),
  ],
  poolRows,
);

/** The columns that SHOW CLIENTS and SHOW SERVERS have in common. */
interface SocketRow {
  readonly type: 'C' | 'S';
  readonly user: string;
  readonly database: string;
  readonly replication?: ReplicationKind;
  readonly state: string;
  readonly host: string;
  readonly port: number;
  readonly connectedAtMs: number;
  readonly requestAtMs: number;
  readonly waitMs: number;
  readonly isCloseNeeded: boolean;
  /** id of the server of a client, or of the client of a server; 0 = none. */
  readonly linkId: number;
  readonly processId: number;
  readonly hasTls: boolean;
  readonly applicationName: string;
  readonly preparedStatements: number;
  readonly id: number;
}

function socketColumns<T extends SocketRow>(): ShowColumn<T>[] {
  const s = columnsOf<T>();
  return [
    s.text('type', (row) => row.type),
    s.text('user', (row) => row.user),
    s.text('database', (row) => row.database),
    s.text('replication', (row) => row.replication ?? 'none'),
    s.text('state', (row) => row.state),
    s.text('addr', (row) => row.host),
    s.int('port', (row) => row.port),
    s.text('local_addr', () => ''),
    s.int('local_port', () => 0),
    s.text('connect_time', (row) => timestamp(row.connectedAtMs)),
    s.text('request_time', (row) => timestamp(row.requestAtMs)),
    s.int('wait', (row) => splitWait(row.waitMs).seconds),
    s.int('wait_us', (row) => splitWait(row.waitMs).microseconds),
    s.int('close_needed', (row) => (row.isCloseNeeded ? 1 : 0)),
    s.text('ptr', (row) => `${row.type}${row.id}`),
    s.text('link', (row) => (row.linkId === 0 ? '' : `${row.type === 'C' ? 'S' : 'C'}${row.linkId}`)),
    s.int('remote_pid', (row) => row.processId),
    s.text('tls', (row) => (row.hasTls ? 'TLS' : '')),
    s.text('application_name', (row) => row.applicationName),
    s.int('prepared_statements', (row) => row.preparedStatements),
    s.int('id', (row) => row.id),
  ];
}

interface ClientRow extends SocketRow {
  readonly client: ClientStats;
}

/** PgBouncer has no idle_in_transaction: a client with a server is active. Column session_state has the full state. */
const clientState = (client: ClientStats): string =>
  client.state === 'idle_in_transaction' || (client.state === 'idle' && client.serverId !== 0)
    ? 'active'
    : client.state;

function* clientRows({ sources }: CommandContext): Generator<ClientRow> {
  for (const client of sources.clients()) {
    yield {
      ...client,
      type: 'C',
      state: clientState(client),
      isCloseNeeded: false,
      linkId: client.serverId,
      processId: 0,
      client,
    };
  }
}

const c = columnsOf<ClientRow>();

const clients = show<ClientRow>(
  'CLIENTS',
  'every client: what it does, the server it holds and what pins it there',
  [
    ...socketColumns<ClientRow>(),
    c.text('session_state', ({ client }) => client.state),
    c.text('node', ({ client }) => client.node),
    c.text('pins', ({ client }) => client.pins.join(', ')),
    c.text('last_route', ({ client }) => client.lastRoute),
  ],
  clientRows,
  'rows',
);

interface ServerRow extends SocketRow {
  readonly server: ServerStats;
}

/** In PgBouncer's words: `new` is in log-in, `tested` is being reset. */
const serverState = (server: ServerStats): string =>
  server.state === 'login' ? 'new' : server.state === 'resetting' ? 'tested' : server.state;

function* serverRows({ sources }: CommandContext): Generator<ServerRow> {
  const names = new Map<number, string>();
  for (const client of sources.clients()) if (client.serverId !== 0) names.set(client.id, client.applicationName);
  for (const server of sources.servers()) {
    yield {
      ...server,
      type: 'S',
      state: serverState(server),
      waitMs: 0,
      linkId: server.clientId,
      applicationName: names.get(server.clientId) ?? '',
      server,
    };
  }
}

const s = columnsOf<ServerRow>();

const servers = show<ServerRow>(
  'SERVERS',
  'every server connection: its node, its state and the client that holds it',
  [
    ...socketColumns<ServerRow>(),
    s.text('node', ({ server }) => server.node),
    s.text('server_version', ({ server }) => server.serverVersion),
  ],
  serverRows,
  'rows',
);

export const showConnections: readonly ConsoleCommand[] = [pools, clients, servers];
