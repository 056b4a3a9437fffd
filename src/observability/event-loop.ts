/**
 * Measures the delay of the event loop, by perf_hooks. Node's histogram covers the time since its start; this one
 * covers the last 10 to 20 s, so that old delays are not in the present p99. One per app; close() stops it.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { SummarySample } from './pulled-metric.ts';

const windowMs = 10_000;
const resolutionMs = 10;
const quantiles = [0.5, 0.9, 0.99, 1] as const;

export interface EventLoopDelay {
  /** Quantiles over the window, in seconds; sum and count since the start. */
  summary(): SummarySample;
  close(): void;
}

interface Window {
  readonly values: ReadonlyMap<number, number>;
  readonly sum: number;
  readonly count: number;
}

export function createEventLoopDelay(): EventLoopDelay {
  const histogram = monitorEventLoopDelay({ resolution: resolutionMs });
  histogram.enable();
  let before: Window = { values: new Map(), sum: 0, count: 0 };
  let [pastSum, pastCount] = [0, 0];

  /** The histogram has the time between two ticks of its own timer. The delay is that time minus the resolution. */
  const delay = (nanoseconds: number): number => Math.max(0, nanoseconds / 1e9 - resolutionMs / 1000);
  const read = (): Window => {
    const { count } = histogram;
    if (count === 0) return { values: new Map(), sum: 0, count: 0 };
    const at = (quantile: number): number =>
      delay(quantile === 1 ? histogram.max : histogram.percentile(quantile * 100));
    return { values: new Map(quantiles.map((q) => [q, at(q)])), sum: delay(histogram.mean) * count, count };
  };
  const timer = setInterval(() => {
    before = read();
    pastSum += before.sum;
    pastCount += before.count;
    histogram.reset();
  }, windowMs).unref();

  return {
    summary() {
      const now = read();
      const worseOf = (q: number): number => Math.max(now.values.get(q) ?? 0, before.values.get(q) ?? 0);
      return {
        quantiles: new Map(quantiles.map((q) => [q, worseOf(q)])),
        sum: pastSum + now.sum,
        count: pastCount + now.count,
      };
    },
    close() {
      clearInterval(timer);
      histogram.disable();
    },
  };
}
