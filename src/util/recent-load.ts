/**
 * A load over the recent time, from samples: an average of a few seconds, and the peak of the last minute. Sixty counts of a
 * second each, reused. Used by the pools (connections) and by the process (its event loop).
 */
import { remaining } from './ewma.ts';

const BUCKET_MS = 1_000;
const BUCKETS = 60;
const AVERAGE_OVER_MS = 5_000;

export class RecentLoad {
  /** Over about the last five seconds. */
  average = 0;
  private readonly peaks = new Float64Array(BUCKETS);
  private readonly sinceMs: number;
  private notedAtMs: number;
  /** Older buckets than this one have been emptied. */
  private bucket: number;

  constructor(nowMs: number) {
    this.sinceMs = nowMs;
    this.notedAtMs = nowMs;
    this.bucket = bucketOf(nowMs);
  }

  note(nowMs: number, load: number): void {
    const left = remaining(nowMs - this.notedAtMs, AVERAGE_OVER_MS);
    this.average = this.average * left + load * (1 - left);
    this.notedAtMs = nowMs;
    this.moveTo(nowMs);
    const index = bucketOf(nowMs) % BUCKETS;
    this.peaks[index] = Math.max(this.peaks[index]!, load);
  }

  /** The largest sample of the last minute. */
  peak(nowMs: number): number {
    this.moveTo(nowMs);
    return this.peaks.reduce((most, each) => Math.max(most, each), 0);
  }

  /** For how long it has been observed; ms. */
  observedMs(nowMs: number): number {
    return nowMs - this.sinceMs;
  }

  private moveTo(nowMs: number): void {
    const to = bucketOf(nowMs);
    for (let each = Math.max(this.bucket, to - BUCKETS) + 1; each <= to; each++) this.peaks[each % BUCKETS] = 0;
    this.bucket = Math.max(this.bucket, to);
  }
}

const bucketOf = (nowMs: number): number => Math.floor(nowMs / BUCKET_MS);
