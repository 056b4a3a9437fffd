/**
 * The metrics of workers while one is being replaced: then two processes have the same number, and each series is there once all
 * the same. Fails if a scrape has a series twice, which Prometheus refuses.
 */
import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { registerWorkers } from '../../src/observability/metric-workers.ts';
import type { StatsSources, WorkerFigures } from '../../src/observability/types.ts';

function worker(number: number, clients: number, restarts: number, delay: number): WorkerFigures {
  const process = { cpuSeconds: 1.5, residentBytes: 1000, eventLoop: { quantiles: new Map([[0.99, delay]]) } };
  return { number, clients, servers: 2, restarts, deaths: 2, process } as unknown as WorkerFigures;
}

test('two processes at one place are one series: sums, and the largest delay', async () => {
  const registry = new Registry();
  const workers = [worker(1, 3, 1, 0.2), worker(2, 5, 0, 0.1), worker(1, 4, 1, 0.3)];
  registerWorkers(registry, { workers: () => workers } as unknown as StatsSources);
  const lines = (await registry.metrics()).split('\n').filter((line) => /^weir_worker_/.test(line));
  expect(lines).toEqual([
    'weir_worker_clients{worker="1"} 7',
    'weir_worker_clients{worker="2"} 5',
    'weir_worker_servers{worker="1"} 4',
    'weir_worker_servers{worker="2"} 2',
    'weir_worker_cpu_seconds_total{worker="1"} 3',
    'weir_worker_cpu_seconds_total{worker="2"} 1.5',
    'weir_worker_resident_memory_bytes{worker="1"} 2000',
    'weir_worker_resident_memory_bytes{worker="2"} 1000',
    'weir_worker_event_loop_delay_seconds{worker="1"} 0.3',
    'weir_worker_event_loop_delay_seconds{worker="2"} 0.1',
    'weir_worker_restarts_total{worker="1"} 1',
    'weir_worker_restarts_total{worker="2"} 0',
    'weir_worker_deaths_total{worker="1"} 2',
    'weir_worker_deaths_total{worker="2"} 2',
  ]);
});
