/**
 * How long a session's reads have gone to the primary because no replica has replayed enough, and how often one of
 * them may wait for a replica. Used by await-replica.ts.
 */

/** About twice the time in which regular probes notice that a replica has caught up. */
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

  /** @returns true if a read that is about to go to the primary should wait for a replica instead */
  isOverdue(nowMs: number): boolean {
    if (this.sinceMs === 0) this.sinceMs = nowMs;
    return nowMs - this.sinceMs > this.pauseMs;
  }

  /** The wait was in vain: the replicas are slow, so the next wait is later. */
  inVain(nowMs: number): void {
    this.sinceMs = nowMs;
    this.pauseMs = Math.min(this.pauseMs * 2, longestPauseMs);
  }
}
