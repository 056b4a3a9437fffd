/**
 * How much of its resident memory a process uses. What was freed stays resident for long: the allocator, V8 and libpg-query's
 * WebAssembly keep their pages. So resident memory without what is known to be freed counts only while it grows; after that, of what
 * is not the heap and not a buffer, only as much as the process needs without clients (docs/adr/0014-memory.md). Made by monitor.ts.
 */
import type { Limit, Reading } from './types.ts';

/** Growth by less than this share of the limit is noise. */
const noiseShare = 0.01;
/** Resident memory that has not grown for so long is not about to reach the limit. */
const settledMs = 5_000;
/** Falling by this share of the limit, the operating system has got memory back. */
const returnedShare = 0.1;

export class InUse {
  /** Resident memory when it last grew. */
  private highBytes = 0;
  private grewAtMs = -Infinity;
  /** What was neither heap nor buffer, and not freed, when it last grew. */
  private otherBytes = 0;
  /** The least of what is neither heap nor buffer, ever: code, and what the allocator needs anyway. */
  private leastOtherBytes = Infinity;
  /** What was heap or buffer, was freed, and is still resident. */
  private freedBytes = 0;
  private before = { liveBytes: 0, otherBytes: 0 };

  /** @returns bytes in use */
  note({ residentBytes, heapUsedBytes, bufferBytes }: Reading, limit: Limit, nowMs: number): number {
    const liveBytes = heapUsedBytes + bufferBytes;
    const otherBytes = Math.max(0, residentBytes - liveBytes);
    this.leastOtherBytes = Math.min(this.leastOtherBytes, otherBytes);
    this.noteFreed(liveBytes, otherBytes);
    if (residentBytes < this.highBytes - returnedShare * limit.bytes) this.highBytes = residentBytes;
    if (residentBytes > this.highBytes + noiseShare * limit.bytes) {
      this.highBytes = residentBytes;
      this.grewAtMs = nowMs;
      this.otherBytes = otherBytes - this.freedBytes;
    } else if (nowMs - this.grewAtMs >= settledMs) {
      this.otherBytes = this.leastOtherBytes;
    }
    return Math.min(residentBytes, liveBytes + this.otherBytes);
  }

  /**
   * Heap and buffers that become smaller leave pages that nobody has, unless the operating system gets them back. Garbage that comes
   * and goes together with its pages leaves none, and takes none of those.
   */
  private noteFreed(liveBytes: number, otherBytes: number): void {
    const { before } = this;
    const moreOtherBytes = otherBytes - before.otherBytes;
    const lessLiveBytes = Math.max(0, before.liveBytes - liveBytes);
    const freedBytes = this.freedBytes + Math.min(moreOtherBytes, lessLiveBytes);
    this.freedBytes = Math.min(Math.max(0, freedBytes), otherBytes - this.leastOtherBytes);
    this.before = { liveBytes, otherBytes };
  }
}
