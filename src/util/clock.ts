/**
 * The one source of time: monotonic milliseconds. Given to whoever decides by time, so that tests can turn the hands.
 * Knows nothing of dates; nobody in Weir compares its clock with a server's.
 */

export interface Clock {
  /** Monotonic milliseconds since some fixed moment; never goes back. */
  nowMs(): number;
}

export const systemClock: Clock = { nowMs: () => performance.now() };

export interface ManualClock extends Clock {
  advance(ms: number): void;
}

/** A clock that stands still until it is told to move. */
export function createManualClock(startMs = 0): ManualClock {
  let now = startMs;
  return {
    nowMs: () => now,
    advance(ms) {
      if (ms < 0) throw new RangeError('time does not go back');
      now += ms;
    },
  };
}
