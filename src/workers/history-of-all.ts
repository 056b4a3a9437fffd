/**
 * What all workers have noted for the page in the last quarter of an hour, added up in the supervisor: it goes on when a worker
 * is replaced or dies. Workers say it with their figures. Made by figures-of-all.ts.
 */
import { History, slotAt } from '../observability/page/history.ts';
import { slotCount } from '../observability/page/noted.ts';
import type { Slot } from '../observability/page/slot-types.ts';
import type { AskedFigures } from './figures.ts';

/** Survives a structured clone. */
export interface HistoryState {
  readonly slots: readonly Slot[];
  /** By process ID: the last slot of a worker that is added up. */
  readonly until: ReadonlyMap<number, number>;
}

/** Workers note the same two seconds a little one after another. */
const patienceMs = 1_000;
const recentSlots = 10;

export class HistoryOfAll {
  private readonly epochMs: () => number;
  private readonly history = new History();
  private readonly until: Map<number, number>;

  constructor(epochMs: () => number, state?: HistoryState) {
    this.epochMs = epochMs;
    this.until = new Map(state?.until);
    for (const slot of state?.slots ?? []) this.history.add(slot);
  }

  /** @param slots the last ones of a worker: most of them are known already */
  note(pid: number, slots: readonly Slot[]): void {
    const until = this.until.get(pid) ?? -1;
    for (const slot of slots) if (slot.slot > until) this.history.add(slot);
    this.until.set(pid, Math.max(until, slots.at(-1)?.slot ?? -1));
  }

  left(pid: number): void {
    this.until.delete(pid);
  }

  asked(detail: AskedFigures): readonly Slot[] | undefined {
    if (detail === 'page') return this.last(recentSlots);
    return detail === 'page-full' ? this.last(slotCount) : undefined;
  }

  state(): HistoryState {
    const now = slotAt(this.epochMs());
    return { slots: this.history.between(now - slotCount, now), until: this.until };
  }

  private last(count: number): Slot[] {
    const to = slotAt(this.epochMs() - patienceMs) - 1;
    return this.history.between(to - count + 1, to);
  }
}
