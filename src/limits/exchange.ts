/**
 * Tells other processes, or other Weirs, what was spent here, and learns how many tokens they have left: ten times a second,
 * at once if the bucket is new here or an eighth of its burst was spent. One exchange at a time; nobody waits for it. Made by app/limits.ts.
 */
import type { Bucket } from './bucket.ts';
import type { SharedBuckets, Spent } from './types.ts';

const everyMs = 100;
const partOfBurst = 1 / 8;
/** Of one message. */
const mostAtOnce = 1_000;

export interface ExchangeOptions {
  /** Where buckets are shared now; undefined: nowhere. */
  shared(): SharedBuckets | undefined;
  readonly nowMs: () => number;
}

export class Exchange {
  private readonly options: ExchangeOptions;
  /** Of which something was spent that was not said yet. */
  private readonly spent = new Set<Bucket>();
  private timer: NodeJS.Timeout | undefined;
  private urgent: NodeJS.Immediate | undefined;
  private isUnderWay = false;

  constructor(options: ExchangeOptions) {
    this.options = options;
  }

  readonly onSpent = (bucket: Bucket): void => {
    this.spent.add(bucket);
    this.timer ??= setTimeout(() => this.due(), everyMs).unref();
    // Of one that is new here, others may have spent everything.
    const isUrgent = !bucket.isShared || bucket.unshared > bucket.burst * partOfBurst;
    if (isUrgent && !this.isUnderWay) this.urgent ??= setImmediate(() => void this.exchange());
  };

  stop(): void {
    clearTimeout(this.timer);
    clearImmediate(this.urgent);
    this.spent.clear();
  }

  private due(): void {
    this.timer = undefined;
    void this.exchange();
  }

  private async exchange(): Promise<void> {
    clearImmediate(this.urgent);
    this.urgent = undefined;
    if (this.isUnderWay || this.spent.size === 0) return;
    const { shared, nowMs } = this.options;
    const buckets = [...this.spent].slice(0, mostAtOnce);
    const now = nowMs();
    const list = buckets.map((bucket): Spent => {
      const { key, perMs, burst, unshared } = bucket;
      this.spent.delete(bucket);
      bucket.unshared = 0;
      bucket.isShared = true;
      return { key, perMs, burst, spent: unshared, left: bucket.left(now) };
    });
    this.isUnderWay = true;
    // What was not heard is not said again: the next time, `left` says it.
    const left = await shared()
      ?.exchange(list)
      .catch(() => undefined);
    this.isUnderWay = false;
    this.adopt(buckets, left);
    if (this.spent.size > 0) this.timer ??= setTimeout(() => this.due(), everyMs).unref();
  }

  private adopt(buckets: readonly Bucket[], left: readonly number[] | undefined): void {
    if (left?.length !== buckets.length || !left.every(Number.isFinite)) return;
    const now = this.options.nowMs();
    // What was spent meanwhile is not known there.
    for (const [at, bucket] of buckets.entries()) bucket.set((left[at] as number) - bucket.unshared, now);
  }
}
