/**
 * How late the event loop runs, from perf_hooks. The histogram of Node grows for ever; this one looks back over 10 to
 * 20 s, so that a bad minute of last week is not in today's p99. One per app; stopped by `close`.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { SummarySample } from './pulled-metric.ts';

const windowMs = 10_000;
const resolutionMs = 10;
const quantiles = [0.5, 0.9, 0.99, 1] as const;

export interface EventLoopDelay {
  /** Quantiles in seconds over the window; sum and count since the start. */
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

  /** The histogram measures the time between ticks of its own timer: the delay is what is beyond its resolution. */
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
      const worse = (q: number): number => Math.max(now.values.get(q) ?? 0, before.values.get(q) ?? 0);
      return {
        quantiles: new Map(quantiles.map((q) => [q, worse(q)])),
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
