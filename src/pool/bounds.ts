/**
 * The size of a pool: how many connections it may have now (the limit), and the minimum and maximum between which resizing
 * may move that. Also the bounds that RESIZE POOL has set, kept for pools that no client has used yet. Used by pool.ts and
 * app/database-pools.ts.
 */
import type { PoolSettings } from '../config/config.ts';

export interface PoolSize {
  readonly limit: number;
  readonly min: number;
  readonly max: number;
}

/** The size of a pool now, and the part that this process has in it. */
export class CurrentSize implements PoolSize {
  limit: number;
  min: number;
  max: number;
  /** Set if the pool is in several processes (BudgetMember.keepAtLeast, keepAtMost). */
  atLeast = Infinity;
  atMost = Infinity;
  /** One more is closed when it comes back, for a pool that has none. Infinity: no. */
  yieldTo = Infinity;
  /** Connections to be open ahead of a predicted load (PoolControl.keepWarm). */
  warm = 0;
  /**
   * So many were open when there could be no more, or when a client left one in mid-statement while others waited. Those that are
   * closed for that are being replaced. Infinity: the pool grows, or has lost servers otherwise.
   */
  reached = Infinity;

  constructor({ defaultPoolSize, minPoolSize, maxPoolSize }: PoolSettings) {
    this.limit = defaultPoolSize;
    this.min = minPoolSize;
    this.max = maxPoolSize;
  }

  /** Connections that this process keeps open without clients. */
  get minHere(): number {
    // The part of one of several processes has what is to be warm in it.
    return this.atLeast === Infinity ? this.min : this.atLeast;
  }
}

export interface Bounds {
  readonly min?: number | undefined;
  readonly max?: number | undefined;
  /** resize.enabled is false: nothing else would ever make the pool as large as its maximum. */
  readonly isFixed?: boolean | undefined;
}

/**
 * If the new minimum is above the maximum, or the other way round, the old one becomes equal to it. The limit is moved between them;
 * that of a pool which does not grow by itself to the maximum that was asked for.
 */
export function resized(size: PoolSize, bounds: Bounds): PoolSize {
  let { min = size.min, max = size.max } = bounds;
  if (min > max) {
    if (bounds.max === undefined) max = min;
    else min = max;
  }
  const limit = bounds.isFixed === true && bounds.max !== undefined ? max : size.limit;
  return { limit: Math.min(Math.max(limit, min), max), min, max };
}

/** Does a reload change the sizes? */
export function isOtherSize(before: PoolSettings, after: PoolSettings): boolean {
  return (
    before.defaultPoolSize !== after.defaultPoolSize ||
    before.minPoolSize !== after.minPoolSize ||
    before.maxPoolSize !== after.maxPoolSize
  );
}

/** Bounds for some pools of a database. `user`, `node`: undefined means all. */
export interface BoundsFor extends Omit<Bounds, 'isFixed'> {
  readonly user: string | undefined;
  readonly node: string | undefined;
}

/** Commands of operators. */
const mostKept = 1_000;

/** The bounds that operators have set since the configuration was read. Pools made later get them, too. */
export class KeptBounds {
  private kept: BoundsFor[] = [];

  keep({ user, node, min, max }: BoundsFor): void {
    // What has only one of them changes the size that those before it have left, as it does with a pool in use.
    if (min !== undefined && max !== undefined)
      this.kept = this.kept.filter((other) => other.user !== user || other.node !== node);
    this.kept.push({ user, node, min, max });
    if (this.kept.length > mostKept) this.kept.shift();
  }

  /** Those for one pool, in the order in which they were set. */
  *of(user: string, node: string): Iterable<BoundsFor> {
    for (const bounds of this.kept) {
      if ((bounds.user ?? user) === user && (bounds.node ?? node) === node) yield bounds;
    }
  }

  forget(): void {
    this.kept = [];
  }
}
