/**
 * Metrics of each process of this Weir: one series with `workers: 1`. Dashboards and alerts of users depend on the names and
 * labels: a change needs a line in the CHANGELOG. Called by metrics.ts.
 */
import type { Registry } from 'prom-client';
import { pulled } from './pulled-metric.ts';
import type { Sample } from './pulled-metric.ts';
import { workerStates, type StatsSources, type WorkerFigures } from './types.ts';

/** `value` is undefined if the worker did not answer. */
interface WorkerMetric {
  readonly type: 'gauge' | 'counter';
  readonly name: string;
  readonly help: string;
  readonly value: (worker: WorkerFigures) => number | undefined;
  /** While a worker is replaced, two processes have its number. Default: their sum. */
  readonly join?: (a: number, b: number) => number;
}

const workerMetrics: readonly WorkerMetric[] = [
  { type: 'gauge', name: 'weir_worker_clients', help: 'Clients of a worker', value: ({ clients }) => clients },
  {
    type: 'gauge',
    name: 'weir_worker_servers',
    help: 'Server connections of a worker',
    value: ({ servers }) => servers,
  },
  {
    type: 'counter',
    name: 'weir_worker_cpu_seconds_total',
    help: 'CPU time that a worker has used',
    value: ({ process }) => process?.cpuSeconds,
  },
  {
    type: 'gauge',
    name: 'weir_worker_resident_memory_bytes',
    help: 'Resident memory of a worker',
    value: ({ process }) => process?.residentBytes,
  },
  {
    type: 'gauge',
    name: 'weir_worker_event_loop_delay_seconds',
    help: 'How late timers of a worker fire, at quantile 0.99 of the last 10 to 20 s',
    value: ({ process }) => process?.eventLoop.quantiles.get(0.99),
    join: Math.max,
  },
  {
    type: 'counter',
    name: 'weir_worker_restarts_total',
    help: 'Times that a restart has replaced a worker',
    value: ({ restarts }) => restarts,
    join: Math.max,
  },
  {
    type: 'counter',
    name: 'weir_worker_deaths_total',
    help: 'Times that a worker has died and another was started',
    value: ({ deaths }) => deaths,
    join: Math.max,
  },
];

const sum = (a: number, b: number): number => a + b;

function samplesOf({ value, join = sum }: WorkerMetric, workers: Iterable<WorkerFigures>): Sample[] {
  const byNumber = new Map<number, number>();
  for (const worker of workers) {
    const now = value(worker);
    if (now === undefined) continue;
    const before = byNumber.get(worker.number);
    byNumber.set(worker.number, before === undefined ? now : join(before, now));
  }
  return [...byNumber].map(([number, joined]) => ({ labels: { worker: String(number) }, value: joined }));
}

export function registerWorkers(registry: Registry, sources: StatsSources): void {
  for (const metric of workerMetrics)
    pulled(registry, metric.type, metric.name, metric.help, () => samplesOf(metric, sources.workers()));
  pulled(registry, 'gauge', 'weir_workers', 'Workers by state, as in SHOW WORKERS', () => {
    const present = Array.from(sources.workers(), ({ state }) => state);
    return workerStates.map((state) => ({
      labels: { state },
      value: present.filter((each) => each === state).length,
    }));
  });
  pulled(
    registry,
    'gauge',
    'weir_workers_silent',
    'Workers that did not answer in time: the other figures are without them',
    () => [{ labels: {}, value: sources.whole?.silent.length ?? 0 }],
  );
}
