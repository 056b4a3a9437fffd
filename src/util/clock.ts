/**
 * The only source of time: monotonic milliseconds. Code that decides by time gets a Clock as an argument, so that
 * tests can use a manual one. Has no calendar time: Weir never compares its clock with a server's.
 */

export interface Clock {
  /** Milliseconds since a fixed moment; never decreases. */
  nowMs(): number;
}

export const systemClock: Clock = { nowMs: () => performance.now() };

export interface ManualClock extends Clock {
  advance(ms: number): void;
}

/** A clock for tests that only `advance` moves. */
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
