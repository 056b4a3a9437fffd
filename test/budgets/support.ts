/** A tracker behind a clock, and readings that are added to. */
import { objectivesOf } from '../../src/budgets/objectives.ts';
import { BudgetTracker } from '../../src/budgets/tracker.ts';
import type { BudgetFigures, Counted, Gauge, Objective, Reading } from '../../src/budgets/types.ts';
import { budgetMap } from '../../src/config/budgets.ts';
import { durationBoundsSeconds } from '../../src/session/types.ts';

export function objectives(text: string): readonly Objective[] {
  const parsed = budgetMap().parseText(text);
  if ('refused' in parsed) throw new Error(parsed.refused);
  return objectivesOf(parsed.value);
}

const width = durationBoundsSeconds.length + 1;

export interface Happened {
  /** How many took up to so many ms. */
  readonly reads?: Readonly<Record<number, number>>;
  readonly writes?: Readonly<Record<number, number>>;
  readonly statements?: number;
  readonly unserved?: number;
}

/** What has been counted since the start. */
class Counts {
  readonly reads = new Float64Array(width);
  readonly writes = new Float64Array(width);
  statements = 0;
  unserved = 0;

  add({ reads = {}, writes = {}, statements = 0, unserved = 0 }: Happened): void {
    addTo(this.reads, reads);
    addTo(this.writes, writes);
    this.statements += statements;
    this.unserved += unserved;
  }

  now(): Counted {
    const { reads, writes, statements, unserved } = this;
    return { reads: reads.slice(), writes: writes.slice(), statements, unserved };
  }
}

function addTo(counts: Float64Array, added: Readonly<Record<number, number>>): void {
  for (const [ms, count] of Object.entries(added)) {
    const found = durationBoundsSeconds.findIndex((bound) => Number(ms) / 1000 <= bound);
    const at = found === -1 ? width - 1 : found;
    counts[at] = (counts[at] ?? 0) + count;
  }
}

export class Scene {
  nowMs = 7_777_777;
  readonly tracker = new BudgetTracker(durationBoundsSeconds);
  objectives: readonly Objective[];
  utilisation: Gauge = { unknown: 'no traffic' };
  lag: Gauge = { unknown: 'no replicas' };
  private all = new Counts();
  private readonly tagged = new Map<string, Counts>();

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

  happen(happened: Happened, tag?: string): void {
    this.all.add(happened);
    if (tag === undefined) return;
    const counts = this.tagged.get(tag) ?? new Counts();
    this.tagged.set(tag, counts);
    counts.add(happened);
  }

  reading(database = 'shop'): Reading {
    const { utilisation, lag } = this;
    const tagged = new Map(Array.from(this.tagged, ([tag, counts]) => [tag, counts.now()]));
    return { database, ...this.all.now(), tagged, utilisation, lag };
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
    this.all = new Counts();
  }
}
