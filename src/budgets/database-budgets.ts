/**
 * The budgets of one database: turns what it has counted since the start into what has happened since the last sample, and
 * adds that to the window of each budget. An objective that changes begins anew. Kept by tracker.ts.
 */
import { countAbove, quantileOf, totalOf } from '../util/histogram.ts';
import { percentiles } from './objectives.ts';
import type { Counted, Gauge, Objective, Reading } from './types.ts';
import { BudgetWindow, type Sums } from './window.ts';

/** "Now" is the last minute, of samples every five seconds. */
const recentSamples = 12;

/** Counted since the last sample. */
type Added = Counted & Pick<Reading, 'tagged'>;

export class DatabaseBudgets {
  private readonly bounds: readonly number[];
  private readonly windows = new Map<string, BudgetWindow>();
  private readonly recent: Added[] = [];
  private last: Reading | undefined;

  /** @param bounds of the histograms, in seconds */
  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
  }

  sample(reading: Reading, objectives: readonly Objective[], nowMs: number): void {
    const added = this.last === undefined ? undefined : difference(reading, this.last);
    this.last = reading;
    if (added !== undefined && this.recent.push(added) > recentSamples) this.recent.shift();
    const names = new Set(objectives.map(({ name }) => name));
    for (const name of this.windows.keys()) if (!names.has(name)) this.windows.delete(name);
    for (const objective of objectives) {
      const window = this.windowOf(objective);
      if (window !== undefined) window.add(nowMs, this.sumsOf(objective, reading, added));
      // What was counted before it was made is of another objective, or of an unknown time.
      else this.windows.set(objective.name, new BudgetWindow(objective, nowMs));
    }
  }

  /** undefined: the objective is not observed yet. */
  windowOf(objective: Objective): BudgetWindow | undefined {
    const window = this.windows.get(objective.name);
    return window?.objective.limit === objective.limit ? window : undefined;
  }

  /** Of the last minute, or the last sample of a gauge. */
  valueOf({ key, percentile = '', tag }: Objective): Gauge {
    if (this.last === undefined) return { unknown: 'not observed yet' };
    if (key === 'pool_utilisation') return this.last.utilisation;
    if (key === 'replica_lag') return this.last.lag;
    const none = { unknown: `no ${key === 'errors' ? 'statements' : key} in the last minute` };
    const recent = this.recent.flatMap((added) => countedOf(added, tag) ?? []);
    if (key === 'errors') {
      const { missed, total } = addUp(recent.map(failures));
      return total === 0 ? none : { value: missed / total };
    }
    const counts = new Float64Array(this.bounds.length + 1);
    for (const added of recent) added[key].forEach((count, i) => (counts[i] = (counts[i] as number) + count));
    const value = quantileOf(this.bounds, counts, 1 - (percentiles[percentile] ?? 0));
    return value === undefined ? none : { value };
  }

  private sumsOf({ key, limit, tag }: Objective, reading: Reading, added: Added | undefined): Sums {
    if (key === 'pool_utilisation') return gaugeSums(reading.utilisation, limit);
    if (key === 'replica_lag') return gaugeSums(reading.lag, limit);
    const counted = added === undefined ? undefined : countedOf(added, tag);
    if (counted === undefined) return nothing;
    if (key === 'errors') return failures(counted);
    return { missed: countAbove(this.bounds, counted[key], limit), total: totalOf(counted[key]) };
  }
}

const nothing: Sums = { missed: 0, total: 0 };

function gaugeSums(gauge: Gauge, limit: number): Sums {
  return 'value' in gauge ? { missed: gauge.value > limit ? 1 : 0, total: 1 } : nothing;
}

/** Statements whose connection was lost with them are not counted as answered. */
function failures({ statements, unserved }: Counted): Sums {
  return { missed: unserved, total: Math.max(statements, unserved) };
}

function addUp(list: readonly Sums[]): Sums {
  return list.reduce((a, b) => ({ missed: a.missed + b.missed, total: a.total + b.total }), nothing);
}

/** Counts fall while the figures of a worker are missing: that is nothing that has happened. */
const grown = (now: number, before: number): number => Math.max(0, now - before);

function difference(now: Reading, before: Reading): Added {
  const tagged = new Map<string, Counted>();
  for (const [tag, counted] of now.tagged) {
    const last = before.tagged.get(tag);
    if (last !== undefined) tagged.set(tag, grownBy(counted, last));
  }
  return { ...grownBy(now, before), tagged };
}

function countedOf(added: Added, tag: string | undefined): Counted | undefined {
  return tag === undefined ? added : added.tagged.get(tag);
}

function grownBy(now: Counted, before: Counted): Counted {
  const of = (key: 'reads' | 'writes'): Float64Array => now[key].map((count, i) => grown(count, before[key][i] ?? 0));
  return {
    reads: of('reads'),
    writes: of('writes'),
    statements: grown(now.statements, before.statements),
    unserved: grown(now.unserved, before.unserved),
  };
}
