/**
 * What happens to the pools of one node when its role or health changes, and how much of it reads may take that have
 * nowhere else to go. Called by database-pools.ts.
 */
import type { PoolSettings } from '../config/config.ts';
import type { Pool } from '../pool/pool.ts';
import type { NodeState } from '../topology/types.ts';

/** Its pool exists before the first client: it has servers to keep open, and its user does not depend on the client's. */
export function isToBeFilled({ config, isUp, role, isDraining }: NodeState, { minPoolSize }: PoolSettings): boolean {
  return minPoolSize > 0 && config.user !== undefined && isUp && role !== 'unknown' && !isDraining;
}

/** Whoever waits for the node or hangs on it goes where it should go now. */
export function followNode(pool: Pool, node: NodeState, primary: NodeState | undefined): void {
  const isUsable = node.isUp && node.role !== 'unknown';
  // Those in line for a node that can no longer serve them ask again where to go.
  if (!isUsable || node.role !== pool.role) pool.sendElsewhere(node.problem ?? `${node.name} is ${node.role}`);
  const isDeposed = primary !== undefined && primary.name !== node.name;
  if (pool.role === 'primary' && isDeposed) closeDeposed(pool, `${primary.name} is the primary now`);
  else if (pool.role === 'replica' && !isUsable) giveUp(pool, node.problem ?? 'it is down');
  if (pool.role !== 'unknown' && isUsable && pool.role !== node.role) pool.reconnect();
  if (isUsable) pool.role = node.role;
}

/** What is in flight there cannot end well: its writes would be lost, acknowledged or not. */
function closeDeposed(pool: Pool, why: string): void {
  for (const server of [...pool.servers()]) server.destroy(why);
}

/** It does not answer any more: reads that hang on it run elsewhere. What cannot waits for its return. */
function giveUp(pool: Pool, why: string): void {
  for (const server of [...pool.servers()]) {
    // In a lane there is only what may run again.
    if (!server.isQuiet && (server.sharers > 1 || server.holders.last?.mayLose?.() !== false)) server.destroy(why);
  }
}

/** How many reads may fall back to a primary at once: half of what its pools can grow to. */
export function fallbackRoom(pools: Iterable<Pool>, isResizing: boolean, spare: number): number {
  let places = 0;
  for (const pool of pools) {
    const { limit, max } = pool.stats();
    places += isResizing ? max : limit;
  }
  return Math.max(1, Math.floor(Math.min(places === 0 ? Infinity : places, spare) / 2));
}
