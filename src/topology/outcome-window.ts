/**
 * How many statements and log-ins a node has answered in the last ten seconds, and how many have met a transport failure.
 * Ten counts of a second each, reused. Used by circuit.ts.
 */

const BUCKET_MS = 1000;
const BUCKETS = 10;

export class OutcomeWindow {
  private readonly answers = new Array<number>(BUCKETS).fill(0);
  private readonly failures = new Array<number>(BUCKETS).fill(0);
  private newest = 0;

  add(nowMs: number, answers: number, failures: number): void {
    this.moveTo(nowMs);
    const index = this.newest % BUCKETS;
    this.answers[index]! += answers;
    this.failures[index]! += failures;
  }

  /** The failures, and all outcomes. */
  counts(nowMs: number): { readonly failed: number; readonly all: number } {
    this.moveTo(nowMs);
    const failed = sum(this.failures);
    return { failed, all: failed + sum(this.answers) };
  }

  clear(): void {
    this.answers.fill(0);
    this.failures.fill(0);
  }

  private moveTo(nowMs: number): void {
    const bucket = Math.floor(nowMs / BUCKET_MS);
    if (bucket - this.newest >= BUCKETS) this.clear();
    else {
      for (let each = this.newest + 1; each <= bucket; each++) {
        this.answers[each % BUCKETS] = 0;
        this.failures[each % BUCKETS] = 0;
      }
    }
    this.newest = Math.max(this.newest, bucket);
  }
}

const sum = (counts: readonly number[]): number => counts.reduce((all, each) => all + each, 0);
