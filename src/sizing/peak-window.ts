/** The largest value of a sliding time window, in a fixed number of buckets. Called by sizing/pressure.ts. */
export class PeakWindow {
  private readonly bucketMs: number;
  private readonly peaks: number[];
  private bucket: number;
  private sinceMs: number;

  constructor(windowMs: number, nowMs: number, buckets = 20) {
    this.bucketMs = Math.max(1, windowMs / buckets);
    this.peaks = new Array<number>(buckets).fill(0);
    this.bucket = Math.floor(nowMs / this.bucketMs);
    this.sinceMs = nowMs;
  }

  add(nowMs: number, value: number): void {
    this.advance(nowMs);
    const at = this.bucket % this.peaks.length;
    this.peaks[at] = Math.max(this.peaks[at] ?? 0, value);
  }

  max(nowMs: number): number {
    this.advance(nowMs);
    return Math.max(...this.peaks);
  }

  /** A whole window has passed since construction or the last restart(). */
  isWhole(nowMs: number): boolean {
    return nowMs - this.sinceMs >= this.bucketMs * this.peaks.length;
  }

  /** isWhole() counts from now on. Values stay until they are older than the window. */
  restart(nowMs: number): void {
    this.sinceMs = nowMs;
  }

  private advance(nowMs: number): void {
    const now = Math.floor(nowMs / this.bucketMs);
    const passed = Math.min(this.peaks.length, now - this.bucket);
    for (let i = 1; i <= passed; i++) this.peaks[(this.bucket + i) % this.peaks.length] = 0;
    if (passed > 0) this.bucket = now;
  }
}
