/**
 * Remembers recent texts and their facts: comparing a text with a known one is faster than scanning it. A program that puts no
 * constants into its SQL repeats the same few texts. A text with constants or comments (a traceparent) may never come again, so
 * such a text is remembered when it comes for the second time. Each text belongs to one slot; a new text in a slot replaces the
 * old one. Bounded: 1,024 slots of at most 1 KiB. Used by classifier.ts.
 */
import type { Classified } from './facts.ts';

const slotCount = 1024;
const longestBytes = 1024;

interface Slot {
  readonly text: Buffer;
  readonly classified: Classified;
}

export class RecentTexts {
  readonly #slots = new Array<Slot | undefined>(slotCount).fill(undefined);
  /** By slot: hash of the last text for which `noteIfRepeated` was called. */
  readonly #lastHashes = new Int32Array(slotCount);

  find(sql: Buffer): Classified | undefined {
    const slot = this.#slots[slotOf(hashOf(sql))];
    return slot !== undefined && slot.text.length === sql.length && slot.text.equals(sql) ? slot.classified : undefined;
  }

  /** Copies the text. */
  note(sql: Buffer, classified: Classified): void {
    this.#keep(slotOf(hashOf(sql)), sql, classified);
  }

  /** The first call for a text only marks its slot. The second copies the text, unless another one has marked the slot meanwhile. */
  noteIfRepeated(sql: Buffer, classified: Classified): void {
    const hash = hashOf(sql);
    const slot = slotOf(hash);
    if (this.#lastHashes[slot] === hash) this.#keep(slot, sql, classified);
    else this.#lastHashes[slot] = hash;
  }

  #keep(slot: number, sql: Buffer, classified: Classified): void {
    if (sql.length <= longestBytes) this.#slots[slot] = { text: Buffer.from(sql), classified };
  }
}

/**
 * From the length, the last eight bytes, and four bytes in the second half, where texts of one program differ most. Two texts may
 * have the same hash.
 */
function hashOf(sql: Buffer): number {
  const { length } = sql;
  let hash = length;
  for (let i = Math.max(0, length - 8); i < length; i++) hash = Math.imul(hash, 31) + (sql[i] as number);
  for (let i = 1; i <= 4; i++) hash = Math.imul(hash, 31) + (sql[length - ((length * i) >> 3) - 1] ?? 0);
  return hash | 0;
}

function slotOf(hash: number): number {
  return (hash ^ (hash >>> 13)) & (slotCount - 1);
}
