/**
 * Whether anything needs what the monitor of a database with a single server learns (routing.monitor). With several servers one of
 * them must be elected: topology/ asks in any case. Used by database-topology.ts.
 */
import type { Config, DatabaseConfig } from '../config/config.ts';

export function isMonitorIdle(config: Config, { dns = [] }: Pick<DatabaseConfig, 'dns'>): boolean {
  const { routing, cache, resize, budget, http, workers } = config;
  if (routing.monitor !== 'when-needed') return false;
  // Replicas are found by asking the primary, and are looked at.
  if (routing.autoDiscover !== 'off' || dns.length > 0) return false;
  // Pools that grow must know how many connections the server has, and so must several Weirs that share them.
  if (resize.enabled || budget.redis !== undefined || budget.share < 1 || budget.maxConnections > 0) return false;
  // Cached answers need positions and a catalog of now; /readyz and metrics say whether servers are up; workers share one monitor.
  return !cache.enabled && http === undefined && workers === 1;
}

/** Several servers of which one must be elected, but not before there is a client: PgBouncer does not connect to them either. */
export function mayWaitForClient(config: Config, database: DatabaseConfig): boolean {
  return database.replicas.length > 0 && database.pool.minPoolSize === 0 && isMonitorIdle(config, database);
}
