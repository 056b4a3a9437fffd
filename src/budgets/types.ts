/**
 * Budgets (service levels): how much may be slow, fail or be full, and how fast that is used up. Not to be confused with the
 * budgets of connections in pool/. Types, and the keys of the setting.
 */

/** Keys of the setting `budgets`, in the order in which they are shown. */
export const budgetKeys = ['reads', 'writes', 'errors', 'pool_utilisation', 'replica_lag'] as const;
export type BudgetKey = (typeof budgetKeys)[number];

/** What may be done while a budget burns. */
export const budgetActions = ['prefer_cache', 'shed_low_priority', 'raise_pool'] as const;
export type BudgetAction = (typeof budgetActions)[number];

/** Survives a structured clone. */
export interface ActionInForce {
  readonly database: string;
  readonly action: BudgetAction;
  /** In words. */
  readonly why: string;
}

/** An objective, and how much may miss it. */
export interface Objective {
  /** Unique in its database: "reads_p95", "errors", "checkout:errors". Label of the metrics. */
  readonly name: string;
  readonly key: BudgetKey;
  /** Only of statements with this tag in their hint; undefined: of all. */
  readonly tag?: string;
  /** Of reads and writes: "p95". */
  readonly percentile?: string;
  readonly unit: 'seconds' | 'ratio';
  /** What is to be kept: seconds, or a share. Of `errors` it is the share that may fail. */
  readonly limit: number;
  /** The share of statements, or of the time, that may miss it: the budget. */
  readonly share: number;
}

/** The setting: by key; an empty list in a database takes back what is set for all databases. */
export type BudgetSettings = Readonly<Partial<Record<BudgetKey, readonly Objective[]>>> & {
  /** By tag. */
  readonly tags?: Readonly<Record<string, readonly Objective[]>>;
  readonly actions?: readonly BudgetAction[];
};

/** ok: within the budget, for an hour. burning: faster than allowed. spent: that of an hour is used up. */
export type BudgetState = 'ok' | 'burning' | 'spent' | 'unknown';

/** Utilisation or lag, or why it is not known. */
export type Gauge = { readonly value: number } | { readonly unknown: string };

/** What has been counted of statements. */
export interface Counted {
  /** Histograms of durations, not cumulative (util/histogram.ts). */
  readonly reads: Float64Array;
  readonly writes: Float64Array;
  readonly statements: number;
  /** Of them, those that failed for a reason that is not their own. */
  readonly unserved: number;
}

/** What a database has counted since the start, and its gauges now. */
export interface Reading extends Counted {
  readonly database: string;
  /** Of tags that have a budget. */
  readonly tagged: ReadonlyMap<string, Counted>;
  readonly utilisation: Gauge;
  readonly lag: Gauge;
}

/** A budget of a database, as it is shown. Survives a structured clone. */
export interface BudgetFigures {
  readonly database: string;
  readonly budget: string;
  /** In words: "p95 <= 50ms". */
  readonly objective: string;
  readonly unit: Objective['unit'];
  readonly limit: number;
  /** Of the last minute, or the last sample of utilisation and lag; null: not known. */
  readonly value: number | null;
  /** 1: exactly as fast as allowed. null: nothing to count. */
  readonly burn5m: number | null;
  readonly burn1h: number | null;
  /** For how long it has been observed, at most an hour counts; 0: not here, or not yet. */
  readonly observedMs: number;
  readonly state: BudgetState;
  readonly why: string;
  /** What it calls for now, of what the configuration allows; undefined: a worker of an older version does not say. */
  readonly actions?: readonly BudgetAction[];
}
