/** What the controller knows of a pool, and what a pool asks for. Types only. */
import type { PoolStats, ResizeReason } from '../pool/types.ts';

export interface ResizeSettings {
  readonly enabled: boolean;
  readonly targetWaitMs: number;
  readonly shrinkAfterMs: number;
}

/** Figures of a pool at one tick. maxWaitMs, peakInUse and serverFull are since the tick before. */
export interface PoolSample {
  readonly stats: PoolStats;
  readonly maxWaitMs: number;
  readonly peakInUse: number;
  readonly serverFull: number;
  /** default_pool_size: an unused pool does not shrink below it. */
  readonly defaultSize: number;
  /** reserve_pool_size, reserve_pool_timeout. */
  readonly reserveSize: number;
  readonly reserveTimeoutMs: number;
}

/** What a pool asks for, in connections. */
export interface Demand {
  /** min_pool_size: it never gets less. */
  readonly floor: number;
  /** The least it needs for its present load. */
  readonly need: number;
  readonly want: number;
  /** Connections in use, in reset or in log-in, which a smaller limit does not close at once. */
  readonly busy: number;
  readonly reason: ResizeReason | undefined;
  /** The reason as text; '' if it wants no change. */
  readonly why: string;
}
