/**
 * A token bucket: it fills at a steady rate up to its burst, and may go below zero for what cannot be refused. Pure: the time
 * is an argument. Used by buckets.ts.
 */

/** Nobody is shut out for longer than this, whatever was spent without being asked for. */
const longestDebtMs = 60_000;
/** Sums of fractions of tokens are not exact. */
const rounding = 1e-6;

export class Bucket {
  readonly key: string;
  readonly perMs: number;
  readonly burst: number;
  readonly sinceMs: number;
  refused = 0;
  /** Spent, and not said to the other processes yet. */
  unshared = 0;
  /** Others were asked for it. */
  isShared = false;
  /** Used since it was last looked at for being forgotten. */
  isUsed = true;
  private tokens: number;
  private atMs: number;

  constructor(key: string, perMs: number, burst: number, nowMs: number) {
    this.key = key;
    this.perMs = perMs;
    this.burst = burst;
    this.sinceMs = nowMs;
    this.tokens = burst;
    this.atMs = nowMs;
  }

  left(nowMs: number): number {
    return Math.min(this.burst, this.tokens + Math.max(0, nowMs - this.atMs) * this.perMs);
  }

  isFull(nowMs: number): boolean {
    return this.left(nowMs) >= this.burst - rounding;
  }

  /** @returns milliseconds until there is a token; 0: there is one */
  waitMs(nowMs: number): number {
    const missing = 1 - this.left(nowMs);
    return missing <= rounding ? 0 : missing / this.perMs;
  }

  spend(count: number, nowMs: number): void {
    this.set(this.left(nowMs) - count, nowMs);
    this.unshared += count;
  }

  /** Others know better how many tokens there are. */
  set(tokens: number, nowMs: number): void {
    const lowest = -Math.max(this.burst, longestDebtMs * this.perMs);
    this.tokens = Math.min(this.burst, Math.max(lowest, tokens));
    this.atMs = nowMs;
  }
}
