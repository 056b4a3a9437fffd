/**
 * SHOW POOLS. PgBouncer's columns come first, with its names and meanings (PgBouncer manual, "Show commands"), then Weir's
 * own. On database `weir` a row for each node; on `pgbouncer`, as there, one for each database and user.
 */
import type { PoolStats } from '../pool/types.ts';
import { columnsOf, show, splitWait } from './types.ts';
import type { CommandContext } from './types.ts';
import { emptyPool } from './open-servers.ts';
import { consolePool, sumOfNodes } from './pgbouncer-rows.ts';
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
function poolRows({ sources, isPgbouncer }: CommandContext): PoolRow[] {
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
  const rows = poolsWithReplication(sources, databases).map((pool): PoolRow => {
    const here = take(clients, key(pool.database, pool.user, pool.node));
    const free = take(clients, key(pool.database, pool.user, ''));
    const database = databases.get(pool.database);
    const loadBalanceHosts = database !== undefined && database.replicas > 0 ? database.loadBalanceHosts : null;
    return { pool, clients: here + free, loadBalanceHosts };
  });
  if (!isPgbouncer) return rows;
  const console: PoolRow = { pool: consolePool, clients: sources.console().clients.length, loadBalanceHosts: null };
  return [...sumsOfUsers(rows), console];
}

/** One row for each database and user: prometheus-community's exporter refuses two with the same labels. */
function sumsOfUsers(rows: readonly PoolRow[]): PoolRow[] {
  const sums = new Map<string, PoolRow>();
  for (const row of rows) {
    const at = key(row.pool.database, row.pool.user);
    const found = sums.get(at);
    if (found === undefined) sums.set(at, row);
    else sums.set(at, { ...found, pool: sumOfNodes(found.pool, row.pool), clients: found.clients + row.clients });
  }
  return [...sums.values()];
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

export const showPools = show<PoolRow>(
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
