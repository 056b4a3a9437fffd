/**
 * Token buckets by their keys. Their number is bounded: full ones are forgotten, which changes nothing, and at the limit those
 * that were not used for the longest time go, too. Used by limiter.ts, and by central.ts for all workers.
 */
import { Bucket } from './bucket.ts';

/** Somebody who connects from ever new addresses, or as ever new users, must not use up the memory. */
export const mostBuckets = 100_000;
const sweepMs = 10_000;

export class Buckets {
  private readonly buckets = new Map<string, Bucket>();
  private readonly most: number;
  private sweptMs = 0;

  constructor(most = mostBuckets) {
    this.most = most;
  }

  get size(): number {
    return this.buckets.size;
  }

  /** undefined: it is full. */
  find(key: string): Bucket | undefined {
    return this.buckets.get(key);
  }

  open(key: string, perMs: number, burst: number, nowMs: number): Bucket {
    const known = this.buckets.get(key);
    if (known !== undefined) {
      known.isUsed = true;
      return known;
    }
    if (nowMs - this.sweptMs > sweepMs) this.sweep(nowMs);
    while (this.buckets.size >= this.most) this.forgetOne();
    const bucket = new Bucket(key, perMs, burst, nowMs);
    this.buckets.set(key, bucket);
    return bucket;
  }

  /** Forgets those that are full. */
  sweep(nowMs: number): void {
    this.sweptMs = nowMs;
    for (const [key, bucket] of this.buckets)
      if (bucket.unshared === 0 && bucket.isFull(nowMs)) this.buckets.delete(key);
  }

  /** Forgets all of which `isKept` is false. */
  keep(isKept: (key: string) => boolean): void {
    for (const key of this.buckets.keys()) if (!isKept(key)) this.buckets.delete(key);
  }

  *all(): Iterable<Bucket> {
    yield* this.buckets.values();
  }

  /** One that was used since it was last at the front gets another round. */
  private forgetOne(): void {
    for (const [key, bucket] of this.buckets) {
      this.buckets.delete(key);
      if (!bucket.isUsed) return;
      bucket.isUsed = false;
      this.buckets.set(key, bucket);
    }
  }
}
