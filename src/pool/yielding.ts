/**
 * What a pool gives up for others of the same server: idle connections that it can do without, and, for a pool that has none at
 * all, one that its own clients wait for. Used by logins.ts.
 */
import type { PoolState } from './pool-state.ts';

/** See BudgetMember. */
export function yieldIdle(state: PoolState): boolean {
  const { queue, all, size } = state;
  return queue.length === 0 && all.size > size.minHere && closeFirstIdle(state, 'another pool of this node');
}

/** See BudgetMember. */
export function closeIdle(state: PoolState): boolean {
  return state.queue.length === 0 && closeFirstIdle(state, 'another worker');
}

/** See BudgetMember. */
export function yieldNext(state: PoolState): boolean {
  const { size, all } = state;
  if (all.size === 0 || size.yieldTo !== Infinity) return false;
  if (!closeFirstIdle(state, 'a pool that has no connection')) size.yieldTo = all.size - 1;
  return true;
}

function closeFirstIdle({ idle }: PoolState, whoNeedsIt: string): boolean {
  const [server] = idle;
  server?.close(`${whoNeedsIt} needs the place`);
  return server !== undefined;
}
