/**
 * Exponentially weighted averages over irregular samples: the two formulas, as plain functions on numbers.
 * State lives with the caller.
 */

/** How much of an old value is left after `elapsedMs`: 1 -> 0. */
export function remaining(elapsedMs: number, timeConstantMs: number): number {
  return elapsedMs <= 0 ? 1 : Math.exp(-elapsedMs / timeConstantMs);
}

/** Up at once with a worse sample, down slowly with better ones ("peak EWMA"). */
export function peakEwma(current: number, sample: number, elapsedMs: number, timeConstantMs: number): number {
  if (sample >= current) return sample;
  const left = remaining(elapsedMs, timeConstantMs);
  return current * left + sample * (1 - left);
}

/** A value that nobody has fed for `elapsedMs` drifts back to `rest`. */
export function relaxed(value: number, rest: number, elapsedMs: number, timeConstantMs: number): number {
  return rest + (value - rest) * remaining(elapsedMs, timeConstantMs);
}
