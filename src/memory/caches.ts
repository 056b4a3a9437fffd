/**
 * Halves the size of all caches while memory is short, and lets them grow again afterwards. What they hold can be had again from a
 * server or by parsing, so they give way before any client does. Called by monitor.ts.
 */
import type { Cache } from './types.ts';

const leastShare = 1 / 256;
/** Caches grow only while less than this share of memory is in use: doubled, they must not make it short at once. */
const growBelowShare = 0.65;
const growEveryMs = 5_000;

export class Caches {
  private readonly caches: readonly Cache[];
  private sizeShare = 1;
  private changedAtMs = -Infinity;

  constructor(caches: readonly Cache[]) {
    this.caches = caches;
  }

  /** Of their full size, the part that they may have. */
  get share(): number {
    return this.sizeShare;
  }

  /**
   * Halves what they may have until they give so much back, and something at least: far from full, they do not notice the first
   * times.
   * @returns the bytes that they have given back, roughly
   */
  shrink(neededBytes: number, nowMs: number): number {
    let freed = 0;
    while (freed < Math.max(1, neededBytes) && this.sizeShare > leastShare) {
      freed += this.resize(this.sizeShare / 2, nowMs);
    }
    return freed;
  }

  /** @param usedShare share of memory in use. @returns false: they would grow if less were in use */
  grow(usedShare: number, nowMs: number): boolean {
    if (this.sizeShare === 1 || nowMs - this.changedAtMs < growEveryMs) return true;
    if (usedShare >= growBelowShare) return false;
    this.resize(Math.min(1, this.sizeShare * 2), nowMs);
    return true;
  }

  private resize(share: number, nowMs: number): number {
    this.sizeShare = share;
    this.changedAtMs = nowMs;
    return this.caches.reduce((freed, cache) => freed + cache.keepShare(share), 0);
  }
}
