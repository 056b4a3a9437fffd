/**
 * Exponentially weighted moving averages of samples at irregular times, as pure functions: the caller keeps the state.
 */

/** @returns the weight of an old value after `elapsedMs`: from 1 down to 0 */
export function remaining(elapsedMs: number, timeConstantMs: number): number {
  return elapsedMs <= 0 ? 1 : Math.exp(-elapsedMs / timeConstantMs);
}

/** "Peak EWMA": rises to a larger sample at once, and approaches a smaller one slowly. @returns the new average */
export function peakEwma(current: number, sample: number, elapsedMs: number, timeConstantMs: number): number {
  if (sample >= current) return sample;
  const left = remaining(elapsedMs, timeConstantMs);
  return current * left + sample * (1 - left);
}

/** @returns `value` after `elapsedMs` without a sample: it returns to `rest` with the given time constant */
export function relaxed(value: number, rest: number, elapsedMs: number, timeConstantMs: number): number {
  return rest + (value - rest) * remaining(elapsedMs, timeConstantMs);
}
