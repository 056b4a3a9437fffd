/**
 * Counts open server connections: those of the pools, and those of replication clients, which belong to no pool.
 * Called by the SHOW commands.
 */
import type { PoolStats } from '../pool/types.ts';
import type { ConsoleSources, DatabaseRow } from './sources.ts';

/** Number of open server connections of one database, user and node. */
export interface OpenServers {
  readonly database: string;
  readonly user: string;
  readonly node: string;
  readonly count: number;
}

export function* openServers(sources: ConsoleSources): Iterable<OpenServers> {
  for (const control of sources.pools()) {
    const { database, user, node, active, idle, login, resetting } = control.stats();
    yield { database, user, node, count: active + idle + login + resetting };
  }
  for (const { database, user, node } of sources.replicationServers()) yield { database, user, node, count: 1 };
}

/** @returns the number of server connections per key */
export function countServers(sources: ConsoleSources, keyOf: (servers: OpenServers) => string): Map<string, number> {
  const counts = new Map<string, number>();
  for (const servers of openServers(sources)) {
    const key = keyOf(servers);
    counts.set(key, (counts.get(key) ?? 0) + servers.count);
  }
  return counts;
}

/** An empty pool, to show the replication connections of a user who has no pool, as PgBouncer does. */
export function emptyPool(row: DatabaseRow, user: string, node: string): PoolStats {
  return {
    database: row.name,
    user,
    node,
    poolMode: row.poolMode,
    limit: row.defaultPoolSize,
    min: row.minPoolSize,
    max: row.maxPoolSize,
    active: 0,
    idle: 0,
    login: 0,
    resetting: 0,
    pinned: 0,
    waiting: 0,
    maxWaitMs: 0,
    load: 0,
    peakLoad: 0,
    loadObservedMs: 0,
    isPaused: row.isPaused,
    atOnce: undefined,
    isOverloaded: false,
    checkouts: 0,
    waitedTotalMs: 0,
    waits: 0,
    waitTimeouts: 0,
    earlyRefusals: 0,
    heldTotalMs: 0,
    connects: 0,
    connectFailures: 0,
    connectProblem: undefined,
    lastResize: undefined,
    resizes: {},
  };
}
