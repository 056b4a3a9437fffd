/** What others may see of the forecast of a pool, and what the state file keeps of it. Types only. */

/** A row of SHOW FORECAST. */
export interface ForecastFigures {
  readonly database: string;
  readonly user: string;
  readonly node: string;
  /** Connections that the pool needs now. */
  readonly now: number;
  /** What it will need at `atMs`, as a rule at most; undefined: too little of such days was seen. */
  readonly predicted: number | undefined;
  /** Epoch ms. */
  readonly atMs: number;
  /** From 0 to 1. */
  readonly confidence: number;
  /** Connections kept open ahead of the load. */
  readonly warmed: number;
  /** In words: why it is warmed, or why not. */
  readonly why: string;
  /** What it will need in each half hour of the next 24 hours; empty where that is not known. */
  readonly day: readonly number[];
}

export interface ForecastedPool {
  readonly database: string;
  readonly user: string;
  readonly node: string;
}

/** A model of one kind of day (holt-winters.ts). */
export interface ModelState {
  /** Undefined: the first whole day was not seen yet. */
  readonly level: number | undefined;
  readonly trend: number;
  /** One for each five minutes of the day; before there is a level, the demand itself, null where it was not seen. */
  readonly season: readonly (number | null)[];
  readonly updates: number;
  readonly lastBucket: number;
  readonly errors: number;
  readonly totals: number;
  readonly spread: number;
}

export interface PoolForecastState extends ForecastedPool {
  /** Epoch ms. */
  readonly seenAtMs: number;
  readonly workdays: ModelState;
  readonly weekends: ModelState;
}
