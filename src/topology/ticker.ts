/**
 * Numbers the LSN probes of one primary, so that a session can say "the insert LSN after now" with one integer and no
 * round trip of its own. Sends nothing: the monitor begins and finishes probes, sessions call `next()` and `lsnOf()`.
 */
import type { LsnTicker, Tick } from './types.ts';

export interface ProbeTicker extends LsnTicker {
  /** Somebody waits for a probe that has not been sent yet. */
  isDemanded(): boolean;
  /** A probe is being sent now: its number. */
  begin(): Tick;
  /** It came back with this insert LSN. Ignored if its epoch is over, or a later probe finished before it. */
  finish(tick: Tick, lsn: number): void;
  /** Another primary or timeline: every tick given out until now answers Infinity. */
  newEpoch(): void;
}

/** @param wake called at most once per probe, when the first `next()` asks for it; must not throw. */
export function createTicker(wake: () => void, ringSize = 4096): ProbeTicker {
  const ticks = new Float64Array(ringSize);
  const lsns = new Float64Array(ringSize);
  /** Finished probes since the epoch began; the last one is at (count - 1) % ringSize. */
  let count = 0;
  let nextTick = 1;
  let demanded = 0;
  let firstOfEpoch = 1;
  let newest = 0;

  return {
    next() {
      const tick = nextTick;
      if (demanded !== tick) {
        demanded = tick;
        wake();
      }
      return tick;
    },

    lsnOf(tick) {
      if (tick < firstOfEpoch) return Infinity;
      if (tick > newest) return undefined;
      // First finished probe at or after it, by halving; what fell out of the ring is answered by the oldest kept.
      let low = Math.max(0, count - ringSize);
      let high = count - 1;
      while (low < high) {
        const middle = (low + high) >>> 1;
        if (ticks[middle % ringSize]! < tick) low = middle + 1;
        else high = middle;
      }
      return lsns[low % ringSize]!;
    },

    isDemanded: () => demanded === nextTick,

    begin: () => nextTick++,

    finish(tick, lsn) {
      if (tick < firstOfEpoch || tick <= newest) return;
      ticks[count % ringSize] = tick;
      lsns[count % ringSize] = lsn;
      count++;
      newest = tick;
    },

    newEpoch() {
      // The tick that may have been given out already but not sent yet belongs to the old epoch too.
      nextTick++;
      firstOfEpoch = nextTick;
      newest = nextTick - 1;
      count = 0;
    },
  };
}
