/** What the controller knows of a pool, and what a pool asks for. Types only. */
import type { PoolStats, ResizeReason } from '../pool/types.ts';

export interface ResizeSettings {
  readonly enabled: boolean;
  readonly targetWaitMs: number;
  readonly shrinkAfterMs: number;
  /** Why the pools of a database grow as soon as anybody waits; undefined: only above the target. */
  raiseWhy?(database: string): string | undefined;
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

/** What a pool will need soon. */
export interface Prediction {
  readonly connections: number;
  /** In words: "at 09:00 UTC this pool usually needs 34 (confidence 0.86)". */
  readonly why: string;
}

/** Learns what pools need, and says what they will need (forecast/forecasting.ts). */
export interface Predictor {
  /** @param load connections that it needs at this moment */
  observe(pool: PoolStats, load: number): void;
  /** Undefined: nothing, or not surely enough. */
  predicted(pool: PoolStats): Prediction | undefined;
  /** So many connections are kept open ahead of the load. */
  warmed(pool: PoolStats, count: number): void;
}

export interface ForecastHost {
  /** Call it before each decision on the sizes of all pools. Undefined: it is off. */
  tick(): Predictor | undefined;
  /** This process does not decide (any more). */
  rest(): void;
}
