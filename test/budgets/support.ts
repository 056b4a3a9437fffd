/** A tracker behind a clock, and readings that are added to. */
import { objectivesOf } from '../../src/budgets/objectives.ts';
import { BudgetTracker } from '../../src/budgets/tracker.ts';
import type { BudgetFigures, Gauge, Objective, Reading } from '../../src/budgets/types.ts';
import { budgetMap } from '../../src/config/budgets.ts';
import { durationBoundsSeconds } from '../../src/session/types.ts';

export function objectives(text: string): readonly Objective[] {
  const parsed = budgetMap().parseText(text);
  if ('refused' in parsed) throw new Error(parsed.refused);
  return objectivesOf(parsed.value);
}

export interface Happened {
  /** How many took up to so many ms. */
  readonly reads?: Readonly<Record<number, number>>;
  readonly writes?: Readonly<Record<number, number>>;
  readonly statements?: number;
  readonly unserved?: number;
}

const width = durationBoundsSeconds.length + 1;

export class Scene {
  nowMs = 7_777_777;
  readonly tracker = new BudgetTracker(durationBoundsSeconds);
  objectives: readonly Objective[];
  utilisation: Gauge = { unknown: 'no traffic' };
  lag: Gauge = { unknown: 'no replicas' };
  private reads = new Float64Array(width);
  private writes = new Float64Array(width);
  private statements = 0;
  private unserved = 0;

  constructor(text: string) {
    this.objectives = objectives(text);
    this.sample();
  }

  /** So much happens in each of the next `seconds`, with a sample every five. */
  run(seconds: number, each: Happened = {}): void {
    for (let second = 5; second <= seconds; second += 5) {
      this.nowMs += 5_000;
      for (let i = 0; i < 5; i++) this.happen(each);
      this.sample();
    }
  }

  happen({ reads = {}, writes = {}, statements = 0, unserved = 0 }: Happened): void {
    this.add(this.reads, reads);
    this.add(this.writes, writes);
    this.statements += statements;
    this.unserved += unserved;
  }

  private add(counts: Float64Array, added: Readonly<Record<number, number>>): void {
    for (const [ms, count] of Object.entries(added)) {
      const found = durationBoundsSeconds.findIndex((bound) => Number(ms) / 1000 <= bound);
      const at = found === -1 ? width - 1 : found;
      counts[at] = (counts[at] ?? 0) + count;
    }
  }

  reading(database = 'shop'): Reading {
    const { reads, writes, statements, unserved, utilisation, lag } = this;
    return { database, reads: reads.slice(), writes: writes.slice(), statements, unserved, utilisation, lag };
  }

  sample(reading = this.reading()): void {
    this.tracker.sample([reading], () => this.objectives, this.nowMs);
  }

  rows(names: readonly string[] = ['shop']): BudgetFigures[] {
    return this.tracker.figures(names, () => this.objectives, this.nowMs);
  }

  row(budget?: string): BudgetFigures {
    const found = this.rows().find((row) => budget === undefined || row.budget === budget);
    if (found === undefined) throw new Error(`no budget ${budget}`);
    return found;
  }

  /** The figures of the process begin anew. */
  restart(): void {
    this.reads = new Float64Array(width);
    this.writes = new Float64Array(width);
    [this.statements, this.unserved] = [0, 0];
  }
}
