/**
 * The most connections that one worker had in use, by short slots of a time that all workers share: so that those of
 * several workers are added only if they were in use at about the same moment. Called by workers/pool-samples.ts.
 */

const slotMs = 25;
/** Slots that are kept if nobody takes them: two seconds. */
const mostSlots = 80;

/** Number of the slot, and the most connections in it. */
export type PeakSlot = readonly [slot: number, inUse: number];

export class PeakSlots {
  private slots: [slot: number, inUse: number][] = [];
  private lastSlot: number | undefined;

  /** @param inUse the most since the last call */
  note(sharedMs: number, inUse: number): void {
    const slot = Math.floor(sharedMs / slotMs);
    const from = Math.max(this.lastSlot ?? slot, slot - mostSlots + 1);
    for (let each = from; each <= slot; each++) this.raise(each, inUse);
    this.lastSlot = slot;
    if (this.slots.length > mostSlots) this.slots = this.slots.slice(-mostSlots);
  }

  private raise(slot: number, inUse: number): void {
    const last = this.slots.at(-1);
    if (last?.[0] === slot) last[1] = Math.max(last[1], inUse);
    else this.slots.push([slot, inUse]);
  }

  /** Those since the last call. */
  take(): readonly PeakSlot[] {
    const { slots } = this;
    this.slots = [];
    return slots;
  }
}

/** How often a worker calls note(). */
export const notePeakEveryMs = slotMs;
