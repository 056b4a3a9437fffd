/**
 * How long a session has been on the primary for want of a replica that has replayed enough, and how often one of its reads
 * may wait for one. Used by await-replica.ts.
 */

/** About twice as long as it takes the probes to notice by themselves. */
const patienceMs = 100;
const longestPauseMs = 10_000;

export class Stranded {
  private sinceMs = 0;
  private pauseMs = patienceMs;

  /** A read went to a replica. */
  over(): void {
    this.sinceMs = 0;
    this.pauseMs = patienceMs;
  }

  /** A read is about to go to the primary: should it wait instead? */
  isOverdue(nowMs: number): boolean {
    if (this.sinceMs === 0) this.sinceMs = nowMs;
    return nowMs - this.sinceMs > this.pauseMs;
  }

  /** The replicas were not far enough in time: they are slow, so the next try is later. */
  inVain(nowMs: number): void {
    this.sinceMs = nowMs;
    this.pauseMs = Math.min(this.pauseMs * 2, longestPauseMs);
  }
}
