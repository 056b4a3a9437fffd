/**
 * Remembers recent texts and their facts. A program that puts no constants into its SQL repeats the same few texts, and comparing
 * a text with a known one is faster than scanning it. Each text belongs to one slot; a new text in a slot replaces the old one.
 * Bounded: 256 slots of at most 1 KiB. Used by classifier.ts.
 */
import type { Classified } from './facts.ts';

const slotCount = 256;
const longestBytes = 1024;

interface Slot {
  readonly text: Buffer;
  readonly classified: Classified;
}

export class RecentTexts {
  readonly #slots = new Array<Slot | undefined>(slotCount).fill(undefined);

  find(sql: Buffer): Classified | undefined {
    const slot = this.#slots[slotOf(sql)];
    return slot !== undefined && slot.text.length === sql.length && slot.text.equals(sql) ? slot.classified : undefined;
  }

  /** Copies the text. */
  note(sql: Buffer, classified: Classified): void {
    if (sql.length <= longestBytes) this.#slots[slotOf(sql)] = { text: Buffer.from(sql), classified };
  }
}

/** From the length and four bytes in the second half, where texts of one program differ most. */
function slotOf(sql: Buffer): number {
  const { length } = sql;
  let hash = length;
  for (let i = 1; i <= 4; i++) hash = hash * 31 + (sql[length - ((length * i) >> 3) - 1] ?? 0);
  return hash & (slotCount - 1);
}
