/**
 * What happens to the pools of a node when its role or health changes, and how many reads may fall back to the primary.
 * Called by database-pools.ts.
 */
import type { PoolSettings } from '../config/config.ts';
import type { Pool } from '../pool/pool.ts';
import type { NodeState } from '../topology/types.ts';

/** Its pool is made before the first client: min_pool_size is set, and the configuration names the user of the node. */
export function isToBeFilled({ config, isUp, role, isDraining }: NodeState, { minPoolSize }: PoolSettings): boolean {
  return minPoolSize > 0 && config.user !== undefined && isUp && role !== 'unknown' && !isDraining;
}

/** Moves the waiting clients, and what runs on a node that is lost, after a change of its role or health. */
export function followNode(pool: Pool, node: NodeState, primary: NodeState | undefined): void {
  const isUsable = node.isUp && node.role !== 'unknown';
  // Clients that wait for a node that cannot serve them any more are routed again.
  if (!isUsable || node.role !== pool.role) pool.sendElsewhere(node.problem ?? `${node.name} is ${node.role}`);
  // Nobody else can do the work of the primary: its clients are told at once, when they are routed again.
  else if (node.role === 'primary' && node.ejectedUntilMs > 0) pool.sendElsewhere(node.circuitWhy ?? 'circuit open');
  const isDeposed = primary !== undefined && primary.name !== node.name;
  if (pool.role === 'primary' && isDeposed) closeDeposed(pool, `${primary.name} is the primary now`);
  else if (pool.role === 'replica' && !isUsable) giveUp(pool, node.problem ?? 'it is down');
  if (pool.role !== 'unknown' && isUsable && pool.role !== node.role) pool.reconnect();
  if (isUsable) pool.role = node.role;
}

/** Closes the servers of a former primary: writes there would be lost even if they were acknowledged. */
function closeDeposed(pool: Pool, why: string): void {
  for (const server of [...pool.servers()]) server.destroy(why);
}

/** Called for a node that does not answer: its reads run again on another node. Other statements wait for its return. */
function giveUp(pool: Pool, why: string): void {
  for (const server of [...pool.servers()]) {
    // A server with several sharers runs only reads, which may be repeated.
    if (!server.isQuiet && (server.sharers > 1 || server.holders.last?.mayLose?.() !== false)) server.destroy(why);
  }
}

/**
 * How many reads may fall back to a primary at once: half of what its pools can grow to, an equal part of it in each of several
 * processes, and at least one.
 */
export function fallbackRoom(pools: Iterable<Pool>, isResizing: boolean, spare: number, processes: number): number {
  let places = 0;
  for (const pool of pools) {
    const { limit, max } = pool.stats();
    places += isResizing ? max : limit;
  }
  return Math.max(1, Math.floor(Math.min(places === 0 ? Infinity : places, spare) / 2 / processes));
}

/** Clients wait for a connection of one of the pools: more of them than connections are being opened for. */
export function hasWaiting(pools: Iterable<Pool>): boolean {
  for (const pool of pools) {
    const { waiting, login } = pool.stats();
    if (waiting > login) return true;
  }
  return false;
}
