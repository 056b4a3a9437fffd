/**
 * Numbers the LSN probes of one primary, so that a session can refer to "the insert LSN after now" by one integer and
 * without a round trip of its own. Sends nothing: the monitor begins and finishes probes, sessions call `next()` and
 * `lsnOf()`.
 */
import type { LsnTicker, Tick } from './types.ts';

export interface ProbeTicker extends LsnTicker {
  /** A session waits for a probe that has not been sent yet. */
  isDemanded(): boolean;
  /** Call when a probe is sent. @returns its number */
  begin(): Tick;
  /** The probe was answered with this insert LSN. Ignored if its epoch is over, or if a later probe finished first. */
  finish(tick: Tick, lsn: number): void;
  /** Another primary or timeline: every tick given out so far now answers Infinity. */
  newEpoch(): void;
}

/** @param wake called at most once per probe, when the first `next()` asks for it; must not throw. */
export function createTicker(wake: () => void, ringSize = 4096): ProbeTicker {
  return new RingTicker(wake, ringSize);
}

class RingTicker implements ProbeTicker {
  readonly #wake: () => void;
  readonly #ringSize: number;
  readonly #ticks: Float64Array;
  readonly #lsns: Float64Array;
  /** Finished probes since the epoch began; the last one is at (count - 1) % ringSize. */
  #count = 0;
  #nextTick = 1;
  #demanded = 0;
  #firstOfEpoch = 1;
  #newest = 0;

  constructor(wake: () => void, ringSize: number) {
    this.#wake = wake;
    this.#ringSize = ringSize;
    this.#ticks = new Float64Array(ringSize);
    this.#lsns = new Float64Array(ringSize);
  }

  next(): Tick {
    const tick = this.#nextTick;
    if (this.#demanded !== tick) {
      this.#demanded = tick;
      this.#wake();
    }
    return tick;
  }

  lsnOf(tick: Tick): number | undefined {
    if (tick < this.#firstOfEpoch) return Infinity;
    if (tick > this.#newest) return undefined;
    // Binary search for the first finished probe with at least this number; if that fell out of the ring, the oldest
    // one kept.
    let low = Math.max(0, this.#count - this.#ringSize);
    let high = this.#count - 1;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#ticks[middle % this.#ringSize]! < tick) low = middle + 1;
      else high = middle;
    }
    return this.#lsns[low % this.#ringSize]!;
  }

  isDemanded(): boolean {
    return this.#demanded === this.#nextTick;
  }

  begin(): Tick {
    return this.#nextTick++;
  }

  finish(tick: Tick, lsn: number): void {
    if (tick < this.#firstOfEpoch || tick <= this.#newest) return;
    this.#ticks[this.#count % this.#ringSize] = tick;
    this.#lsns[this.#count % this.#ringSize] = lsn;
    this.#count++;
    this.#newest = tick;
  }

  newEpoch(): void {
    // A tick that was given out but whose probe was not sent yet belongs to the old epoch too.
    this.#nextTick++;
    this.#firstOfEpoch = this.#nextTick;
    this.#newest = this.#nextTick - 1;
    this.#count = 0;
  }
}
