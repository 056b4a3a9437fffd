/**
 * What can be told from a histogram: a quantile, and how many values are above a limit. In a bucket, values count as spread
 * evenly. Used for SHOW STATS (console/stats-window.ts) and for budgets.
 */

/** Counts of values up to each bound, not cumulative; one more than bounds: the last is of values above all bounds. */
export type Counts = ArrayLike<number>;

export function totalOf(counts: Counts): number {
  let total = 0;
  for (let i = 0; i < counts.length; i++) total += counts[i] as number;
  return total;
}

/**
 * @param quantile from 0 to 1
 * @returns undefined: there are no values. Above all bounds, it is the last bound.
 */
export function quantileOf(bounds: readonly number[], counts: Counts, quantile: number): number | undefined {
  const total = totalOf(counts);
  if (total === 0) return undefined;
  let before = 0;
  for (let i = 0; i < bounds.length; i++) {
    const inBucket = counts[i] ?? 0;
    if (inBucket > 0 && before + inBucket >= quantile * total) {
      const [low, high] = [bounds[i - 1] ?? 0, bounds[i] as number];
      return low + ((quantile * total - before) / inBucket) * (high - low);
    }
    before += inBucket;
  }
  return bounds.at(-1);
}

/** How many values are above `limit`; exact if the limit is one of the bounds. */
export function countAbove(bounds: readonly number[], counts: Counts, limit: number): number {
  let above = counts[bounds.length] ?? 0;
  for (let i = bounds.length - 1; i >= 0; i--) {
    const [low, high] = [bounds[i - 1] ?? 0, bounds[i] as number];
    if (high <= limit) break;
    above += (counts[i] ?? 0) * Math.min(1, (high - limit) / (high - low));
  }
  return above;
}
