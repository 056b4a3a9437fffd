/**
 * What a prediction adds to what a pool wants by itself: never less, and no more than its bounds allow. Called by controller.ts.
 */
import type { PoolStats } from '../pool/types.ts';
import type { Demand, PoolSample, Prediction } from './types.ts';

/** Connections that the pool needs now: those in use, and under pressure those that it asks for. */
export function loadOf({ stats, peakInUse }: PoolSample, { reason, want }: Demand): number {
  const inUse = Math.max(peakInUse, stats.active + stats.resetting);
  return reason === 'pressure' ? Math.max(inUse, want) : inUse;
}

/**
 * @param most what the pool may have without max_pool_size
 * @returns with `ahead`, the connections to be open before the load comes, if the pool may have as many
 */
export function foreseen(
  { isPaused, limit, max }: PoolStats,
  demand: Demand,
  prediction: Prediction | undefined,
  most: number,
): { readonly demand: Demand; readonly ahead: number } {
  if (prediction === undefined || isPaused || demand.reason === 'server-full') return { demand, ahead: 0 };
  const ahead = Math.min(prediction.connections, max, most);
  if (ahead <= demand.want) return { demand, ahead };
  // A pool that would only shrink stays as it is.
  if (ahead <= limit) return { demand: { ...demand, want: ahead, reason: undefined, why: '' }, ahead };
  return { demand: { ...demand, want: ahead, reason: 'predicted', why: prediction.why }, ahead };
}
