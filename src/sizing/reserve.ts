/**
 * The reserve of a pool (PgBouncer's reserve_pool_size): connections beyond its size for clients that have waited
 * reserve_pool_timeout, until they are no longer needed. Called by pressure.ts.
 */
import type { Demand, PoolSample } from './types.ts';

/** The reserve in use. */
export interface UsedReserve {
  /** The size of the pool without it. */
  readonly base: number;
  /** With it: what this controller has set. If the pool has another limit, an operator has set that. */
  readonly limit: number;
}

/** For this long after a client has waited, the reserve stays. */
const keepMs = 10_000;

export interface ReserveMemory {
  used: UsedReserve | undefined;
  lastNeededMs: number;
}

export function newReserveMemory(): ReserveMemory {
  return { used: undefined, lastNeededMs: 0 };
}

/**
 * What the pool asks for because of its reserve; undefined: the reserve is not in use and not needed.
 * @param top how far the pool may grow without it
 */
export function reserveDemand(
  sample: PoolSample,
  memory: ReserveMemory,
  top: number,
  nowMs: number,
): Pick<Demand, 'want' | 'reason' | 'why'> | undefined {
  const { stats, reserveSize, reserveTimeoutMs } = sample;
  if (memory.used !== undefined && memory.used.limit !== stats.limit) memory.used = undefined;
  const { used } = memory;
  const base = used?.base ?? stats.limit;
  const most = base + reserveSize;
  const busy = stats.active + stats.resetting;
  if (stats.waiting > 0 || busy > base) memory.lastNeededMs = nowMs;
  // In an overload nobody waits for so long any more.
  const isDue = stats.maxWaitMs >= reserveTimeoutMs || stats.isOverloaded;
  const isLate = stats.waiting > 0 && isDue && busy >= stats.limit;
  if (isLate && base >= top && stats.limit < most) {
    const want = Math.min(most, stats.limit + stats.waiting);
    memory.used = { base, limit: want };
    const waited = `a client has waited ${Math.round(stats.maxWaitMs)} ms (reserve_pool_timeout ${reserveTimeoutMs} ms)`;
    const why = stats.isOverloaded ? 'the pool is overloaded' : waited;
    return { want, reason: 'reserve', why };
  }
  if (used === undefined) return undefined;
  const isOver = nowMs - memory.lastNeededMs >= keepMs;
  if (stats.limit <= most && !isOver) return { want: stats.limit, reason: undefined, why: '' };
  memory.used = undefined;
  return { want: isOver ? base : most, reason: 'surplus', why: 'its reserve is no longer needed' };
}
