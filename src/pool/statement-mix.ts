/**
 * Which statements ended in a window, by kind: how many, and what they would have taken alone. Tells whether two windows had the same
 * mix of statements, and how much work was done in one compared with the other. Filled by statements-at-once.ts, read by
 * sizing/statement-search.ts.
 */

/** Templates with the same number modulo this share a kind. */
const statementKinds = 32;

/** Of the work, this part may be of other kinds. */
const otherPart = 0.4;

export class StatementMix {
  private readonly counts = new Float64Array(statementKinds);
  private readonly aloneMs = new Float64Array(statementKinds);

  /** @param template its number @param aloneMs what it would have taken alone */
  add(template: number, aloneMs: number, count = 1): void {
    const kind = template % statementKinds;
    this.counts[kind] = (this.counts[kind] ?? 0) + count;
    this.aloneMs[kind] = (this.aloneMs[kind] ?? 0) + aloneMs;
  }

  /** Of all kinds. */
  get total(): { readonly count: number; readonly aloneMs: number } {
    return { count: sum(this.counts), aloneMs: sum(this.aloneMs) };
  }

  addAll(other: StatementMix): void {
    for (let kind = 0; kind < statementKinds; kind++) {
      const count = other.counts[kind] ?? 0;
      if (count > 0) this.add(kind, other.aloneMs[kind] ?? 0, count);
    }
  }

  /**
   * The same statements in about the same parts, each counted with what it takes alone: with the same time on both sides, as what is
   * known of that changes while statements wait for each other.
   */
  isLike(other: StatementMix): boolean {
    const [mine, others] = this.workBeside(other);
    const [all, allOthers] = [sum(mine), sum(others)];
    if (all === 0 || allOthers === 0) return all === allOthers;
    const difference = sum(mine.map((work, kind) => Math.abs(work / all - (others[kind] ?? 0) / allOthers)));
    return difference / 2 <= otherPart;
  }

  /** How much work this is, as part of the other; 1 if the other is none. */
  partOf(other: StatementMix): number {
    const [mine, others] = this.workBeside(other);
    const all = sum(others);
    return all === 0 ? 1 : sum(mine) / all;
  }

  /** ms of each kind; a statement of one kind counts the same on both sides. */
  private workBeside(other: StatementMix): readonly [Float64Array, Float64Array] {
    const [mine, others] = [new Float64Array(statementKinds), new Float64Array(statementKinds)];
    for (let kind = 0; kind < statementKinds; kind++) {
      const [count, otherCount] = [this.counts[kind] ?? 0, other.counts[kind] ?? 0];
      if (count + otherCount === 0) continue;
      const eachMs = ((this.aloneMs[kind] ?? 0) + (other.aloneMs[kind] ?? 0)) / (count + otherCount);
      mine[kind] = count * eachMs;
      others[kind] = otherCount * eachMs;
    }
    return [mine, others];
  }
}

const sum = (values: Float64Array): number => values.reduce((total, value) => total + value, 0);
