/**
 * The size of a pool: what it may have now, and the bounds within which that may move. What RESIZE POOL asks for, applied
 * to pools that are there and kept for those that clients have not opened yet. Pure.
 */
import type { PoolSettings } from '../config/config.ts';

export interface PoolSize {
  readonly limit: number;
  readonly min: number;
  readonly max: number;
}

export interface Bounds {
  readonly min?: number | undefined;
  readonly max?: number | undefined;
}

/** The other bound gives way, and the limit is moved into both. */
export function resized(size: PoolSize, bounds: Bounds): PoolSize {
  let { min = size.min, max = size.max } = bounds;
  if (min > max) {
    if (bounds.max === undefined) max = min;
    else min = max;
  }
  return { limit: Math.min(Math.max(size.limit, min), max), min, max };
}

/** Does a configuration say something new about sizes? */
export function isOtherSize(before: PoolSettings, after: PoolSettings): boolean {
  return (
    before.defaultPoolSize !== after.defaultPoolSize ||
    before.minPoolSize !== after.minPoolSize ||
    before.maxPoolSize !== after.maxPoolSize
  );
}

/** Bounds for the pools of one database; undefined: of any user, on any node. */
export interface BoundsFor extends Bounds {
  readonly user: string | undefined;
  readonly node: string | undefined;
}

/** What operators asked for since the configuration was read, for pools to come. */
export class KeptBounds {
  private kept: BoundsFor[] = [];

  keep({ user, node, min, max }: BoundsFor): void {
    this.kept = this.kept.filter((other) => other.user !== user || other.node !== node);
    this.kept.push({ user, node, min, max });
  }

  /** In the order in which they were asked for. */
  *of(user: string, node: string): Iterable<BoundsFor> {
    for (const bounds of this.kept) {
      if ((bounds.user ?? user) === user && (bounds.node ?? node) === node) yield bounds;
    }
  }

  forget(): void {
    this.kept = [];
  }
}
