/**
 * Monotonic times that one process of a machine tells another: all count from the same moment. What is converted may come
 * out a little older than it is, never younger. Used by the files that send or receive samples of servers.
 */
export interface SharedTime {
  toShared(localMs: number): number;
  toLocal(sharedMs: number): number;
}

/** More readings narrow down the difference between the two clocks; the first ones run in cold code. */
const readings = 16;
/** Longer than the error of computing with times since the start of the machine. */
const roundingMs = 0.001;

/** Monotonic; the same for all processes of the machine. */
export const machineNowMs = (): number => {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1e3 + nanoseconds / 1e6;
};

/**
 * @param localNow the clock of this process
 * @param machineNow the clock that all processes of the machine share
 */
export function sharedTime(localNow = () => performance.now(), machineNow = machineNowMs): SharedTime {
  let least = -Infinity;
  let most = Infinity;
  for (let i = 0; i < readings; i++) {
    const before = machineNow();
    const local = localNow();
    const after = machineNow();
    least = Math.max(least, before - local);
    most = Math.min(most, after - local);
  }
  return {
    toShared: (localMs) => localMs + least - roundingMs,
    toLocal: (sharedMs) => sharedMs - most - roundingMs,
  };
}
