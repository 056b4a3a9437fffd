/**
 * What a rate limit is, whom it concerns, and what is shown of it. Made by config/limits.ts; read by the session, the console
 * and the metrics. Types only.
 */
import type { WeirError } from '../errors/errors.ts';

export type LimitKind = 'statements' | 'connections' | 'bytes';
export type RateUnit = 's' | 'm' | 'h';

/** One rate of one rule of the setting `limits`. */
export interface Limit {
  /** The rule's own name, or else whom it concerns: `user=* database=shop`. */
  readonly name: string;
  readonly kind: LimitKind;
  /** `*`: each one that no other rule names; undefined: all together. */
  readonly user: string | undefined;
  readonly database: string | undefined;
  /** A network, `10.0.0.0/8`, or `*`: each address in it by itself. */
  readonly address: string | undefined;
  /** So many per unit. */
  readonly amount: number;
  readonly unit: RateUnit;
  readonly burst: number;
}

/** A client, or a connection that is about to become one. */
export interface Who {
  readonly user: string;
  readonly database: string;
  /** undefined: a Unix socket. */
  readonly address: string | undefined;
}

/** The limits that concern a client. Valid until the limits change: its owner gives it back to the limiter each time. */
export interface Account {
  readonly version: number;
  readonly statements: readonly Hold[];
  readonly bytes: readonly Hold[];
}

/** A limit that concerns somebody, and the key of the bucket. */
export interface Hold {
  readonly limit: Limit;
  readonly key: string;
}

/** What sessions and log-ins ask. */
export interface StatementLimiter {
  /** @param known what was returned before for the same client */
  accountOf(who: Who, known: Account | undefined): Account;
  /** Takes so many statements if no limit is reached. Otherwise nothing is taken or counted. */
  tryTake(account: Account, statements: number): boolean;
  /** As tryTake; a refusal is counted. @returns why not; undefined: they were taken */
  take(account: Account, statements: number): WeirError | undefined;
  /** Takes them whether or not a limit is reached. */
  spend(account: Account, statements: number): void;
  spendBytes(account: Account, bytes: number): void;
}

/** The limits in force, which a reload changes. */
export interface LimitsInForce {
  /** undefined: there are none. */
  readonly active: StatementLimiter | undefined;
}

/** A bucket as one process knows it. Survives a structured clone. */
export interface BucketState {
  readonly key: string;
  readonly perMs: number;
  readonly burst: number;
  /** How many tokens are left. */
  readonly left: number;
}

/** What was spent of one bucket since it was last said; `left` counts it in. */
export interface Spent extends BucketState {
  readonly spent: number;
}

/** What several processes, or several Weirs, have together. */
export interface SharedBuckets {
  /** How many tokens are left of each, in this order. Rejects if that cannot be known. */
  exchange(spent: readonly Spent[]): Promise<readonly number[]>;
}

/** A bucket in SHOW LIMITS. */
export interface BucketFigures {
  readonly whom: string;
  readonly tokens: number;
  readonly refused: number;
  /** Epoch ms: since when it is counted. */
  readonly sinceMs: number;
}

export interface LimitFigures {
  readonly name: string;
  readonly kind: LimitKind;
  /** As it is configured: `500/s`. */
  readonly rate: string;
  readonly burst: number;
  /** How many are not full. */
  readonly buckets: number;
  readonly refused: number;
  /** Epoch ms. */
  readonly sinceMs: number;
  /** Why the limit holds for this Weir alone, although limits_redis is set. */
  readonly problem: string | undefined;
  /** The emptiest first; not all, if there are many. */
  readonly whom: readonly BucketFigures[];
}
