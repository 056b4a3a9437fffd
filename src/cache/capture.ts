/**
 * Collects one answer for the cache while it is relayed to the client: copies its messages into one buffer, up to
 * max_entry_size. Beyond that it frees everything and only remembers that it overflowed. Used by request/.
 */

const firstBytes = 1024;

export class Capture {
  private readonly maxBytes: number;
  private memory: Buffer | undefined = undefined;
  private used = 0;
  /** The answer is too large to be stored; its bytes were freed. */
  overflow = false;

  /** @param maxBytes cache.max_entry_size */
  constructor(maxBytes: number) {
    this.maxBytes = maxBytes;
  }

  /** Adds a copy of bytes [start, end) of `buffer`. */
  add(buffer: Buffer, start: number, end: number): void {
    if (this.overflow) return;
    const need = this.used + (end - start);
    if (need > this.maxBytes) {
      this.overflow = true;
      this.memory = undefined;
      this.used = 0;
      return;
    }
    if (this.memory === undefined || need > this.memory.length) this.grow(need);
    buffer.copy(this.memory!, this.used, start, end);
    this.used = need;
  }

  get bytes(): number {
    return this.used;
  }

  /** The collected bytes; empty after an overflow. The cache copies them to a buffer of the exact size. */
  get parts(): readonly Buffer[] {
    return this.memory === undefined ? [] : [this.memory.subarray(0, this.used)];
  }

  private grow(need: number): void {
    const size = Math.min(this.maxBytes, Math.max(need, firstBytes, (this.memory?.length ?? 0) * 2));
    const memory = Buffer.allocUnsafeSlow(size);
    this.memory?.copy(memory, 0, 0, this.used);
    this.memory = memory;
  }
}
