/**
 * The buckets that several processes have together: each says what it has spent, and hears how many tokens are left. Kept by
 * the supervisor for its workers; redis-script.ts does the same in Redis for several Weirs.
 */
import { Buckets } from './buckets.ts';
import type { BucketState, Spent } from './types.ts';

export class CentralBuckets {
  private readonly buckets: Buckets;
  private readonly nowMs: () => number;

  /** @param state of the supervisor whose place this one takes */
  constructor(nowMs: () => number, state: readonly BucketState[] = [], most?: number) {
    this.nowMs = nowMs;
    this.buckets = new Buckets(most);
    this.exchange(state.map((bucket) => ({ ...bucket, spent: 0 })));
  }

  get size(): number {
    return this.buckets.size;
  }

  state(): BucketState[] {
    const now = this.nowMs();
    this.buckets.sweep(now);
    return Array.from(this.buckets.all(), (bucket) => {
      const { key, perMs, burst } = bucket;
      return { key, perMs, burst, left: bucket.left(now) };
    });
  }

  exchange(spent: readonly Spent[]): readonly number[] {
    const now = this.nowMs();
    return spent.map((one) => {
      const bucket = this.buckets.open(one.key, one.perMs, one.burst, now);
      // Whoever has spent may know of more than is known here: this process may be new.
      bucket.set(Math.min(bucket.left(now) - one.spent, one.left), now);
      return bucket.left(now);
    });
  }
}
