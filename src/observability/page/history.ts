/**
 * The last quarter of an hour, in rows of two seconds (noted.ts), in a ring of a fixed size. One in each process, and one in the
 * supervisor of several workers, which adds up what they have noted (workers/history-of-all.ts).
 */
import { addTo, rowLength, slotCount, slotMs } from './noted.ts';
import type { Slot } from './slot-types.ts';

export const slotAt = (epochMs: number): number => Math.floor(epochMs / slotMs);

export class History {
  private readonly slots = new Float64Array(slotCount).fill(-1);
  private readonly rows = new Float64Array(slotCount * rowLength);

  /** What was noted of that slot before, by another worker, is added to. */
  add({ slot, row }: Slot): void {
    const place = slot % slotCount;
    const found = this.slots[place] as number;
    // Older than the ring: the clock was set back, or a worker was silent for long.
    if (found > slot) return;
    const kept = this.rows.subarray(place * rowLength, (place + 1) * rowLength);
    if (found === slot) return addTo(kept, row);
    this.slots[place] = slot;
    for (let i = 0; i < rowLength; i++) kept[i] = row[i] ?? 0;
  }

  /** Copies, in order: what is known of the slots from `from` to `to`, and not older than a quarter of an hour. */
  between(from: number, to: number): Slot[] {
    const found: Slot[] = [];
    for (let each = Math.max(from, to - slotCount + 1); each <= to; each++) {
      const place = each % slotCount;
      if (this.slots[place] !== each) continue;
      found.push({ slot: each, row: this.rows.slice(place * rowLength, (place + 1) * rowLength) });
    }
    return found;
  }
}
