/**
 * Metrics without values of their own: each reads them from the rest of Weir when it is scraped. prom-client's classes
 * collect values themselves, and a Histogram cannot be set, so these implement the `get()` that its Registry calls.
 */
import type { Metric, MetricObjectWithValues, MetricValue, Registry } from 'prom-client';

export type Labels = Readonly<Record<string, string>>;

export interface Sample {
  readonly labels: Labels;
  readonly value: number;
}

/** `counts` are cumulative, one per bound; `count` is the bucket +Inf. */
export interface HistogramSample {
  readonly labels: Labels;
  readonly boundsSeconds: readonly number[];
  readonly counts: readonly number[];
  readonly sum: number;
  readonly count: number;
}

/** A line that the Registry prints. prom-client's type lacks metricName, which lines of a histogram have. */
type Line = MetricValue<string> & { readonly metricName?: string };

type Kind = 'counter' | 'gauge' | 'histogram' | 'summary';

/** Maximum number of series per metric, to bound memory. Further series are left out. */
const mostSeries = 10_000;

function register(registry: Registry, name: string, help: string, type: Kind, pull: () => Line[]): void {
  const metric = {
    name,
    help,
    get: (): Promise<MetricObjectWithValues<MetricValue<string>>> => {
      // An exception in one metric must not fail the whole scrape.
      let values: Line[] = [];
      try {
        values = pull();
      } catch {
        values = [];
      }
      return Promise.resolve({ name, help, type, values, aggregator: 'sum' } as unknown as MetricObjectWithValues<
        MetricValue<string>
      >);
    },
    reset: () => {},
  };
  registry.registerMetric(metric as unknown as Metric);
}

function limited<T>(samples: Iterable<T>): T[] {
  const all: T[] = [];
  for (const sample of samples) {
    if (all.length >= mostSeries) break;
    all.push(sample);
  }
  return all;
}

export function pulled(
  registry: Registry,
  type: 'counter' | 'gauge',
  name: string,
  help: string,
  pull: () => Iterable<Sample>,
): void {
  register(registry, name, help, type, () =>
    limited(pull()).map(({ labels, value }) => ({ labels: { ...labels }, value })),
  );
}

export function pulledHistogram(
  registry: Registry,
  name: string,
  help: string,
  pull: () => Iterable<HistogramSample>,
): void {
  register(registry, name, help, 'histogram', () =>
    limited(merged(pull())).flatMap((sample) => histogramLines(name, sample)),
  );
}

/** Adds up histograms with the same labels. Those of one metric have the same bounds. */
function* merged(samples: Iterable<HistogramSample>): Generator<HistogramSample> {
  const sums = new Map<string, HistogramSample>();
  for (const sample of samples) {
    const key = JSON.stringify(sample.labels);
    const found = sums.get(key);
    const sum =
      found === undefined
        ? sample
        : {
            ...found,
            counts: found.counts.map((count, index) => count + (sample.counts[index] ?? 0)),
            sum: found.sum + sample.sum,
            count: found.count + sample.count,
          };
    sums.set(key, sum);
  }
  yield* sums.values();
}

function histogramLines(name: string, sample: HistogramSample): Line[] {
  const line = (suffix: string, value: number, le?: string): Line => ({
    metricName: `${name}_${suffix}`,
    labels: le === undefined ? { ...sample.labels } : { ...sample.labels, le },
    value,
  });
  return [
    ...sample.boundsSeconds.map((bound, index) => line('bucket', sample.counts[index] ?? 0, String(bound))),
    line('bucket', sample.count, '+Inf'),
    line('sum', sample.sum),
    line('count', sample.count),
  ];
}

export interface SummarySample {
  readonly quantiles: ReadonlyMap<number, number>;
  readonly sum: number;
  readonly count: number;
}

export function pulledSummary(registry: Registry, name: string, help: string, pull: () => SummarySample): void {
  register(registry, name, help, 'summary', () => {
    const { quantiles, sum, count } = pull();
    const lines: Line[] = [
      ...[...quantiles].map(([quantile, value]) => ({ labels: { quantile: String(quantile) }, value })),
      { metricName: `${name}_sum`, labels: {}, value: sum },
      { metricName: `${name}_count`, labels: {}, value: count },
    ];
    return lines;
  });
}

/** Adds up samples with the same labels. */
export function* summed(samples: Iterable<Sample>): Generator<Sample> {
  const sums = new Map<string, { labels: Labels; value: number }>();
  for (const { labels, value } of samples) {
    const key = JSON.stringify(labels);
    const found = sums.get(key);
    if (found === undefined) sums.set(key, { labels, value });
    else found.value += value;
  }
  yield* sums.values();
}
