/**
 * Counts of the last hour for one budget: how many there were, and how many missed the objective, in slots of 10 s that are
 * reused. Kept by database-budgets.ts.
 */
import type { Objective } from './types.ts';

const slotMs = 10_000;
export const hourMs = 3_600_000;
export const fiveMinutesMs = 300_000;
const slots = hourMs / slotMs;

export interface Sums {
  /** May be a fraction: within a bucket of a histogram it is an estimate. */
  readonly missed: number;
  readonly total: number;
}

export class BudgetWindow {
  readonly objective: Objective;
  readonly sinceMs: number;
  private readonly missed = new Float64Array(slots);
  private readonly total = new Float64Array(slots);
  /** The newest slot: later ones are empty. */
  private slot: number;

  constructor(objective: Objective, nowMs: number) {
    this.objective = objective;
    this.sinceMs = nowMs;
    this.slot = slotOf(nowMs);
  }

  add(nowMs: number, { missed, total }: Sums): void {
    this.moveTo(slotOf(nowMs));
    const at = this.slot % slots;
    this.missed[at] = (this.missed[at] as number) + missed;
    this.total[at] = (this.total[at] as number) + total;
  }

  /** Of the last `windowMs`, to within a slot. */
  sums(nowMs: number, windowMs: number): Sums {
    let [missed, total] = [0, 0];
    const now = slotOf(nowMs);
    const oldest = Math.max(0, now - windowMs / slotMs + 1, this.slot - slots + 1);
    for (let slot = oldest; slot <= Math.min(now, this.slot); slot++) {
      missed += this.missed[slot % slots] as number;
      total += this.total[slot % slots] as number;
    }
    return { missed, total };
  }

  private moveTo(slot: number): void {
    for (let empty = Math.max(this.slot + 1, slot - slots + 1); empty <= slot; empty++) {
      this.missed[empty % slots] = 0;
      this.total[empty % slots] = 0;
    }
    this.slot = Math.max(this.slot, slot);
  }
}

const slotOf = (nowMs: number): number => Math.floor(nowMs / slotMs);
