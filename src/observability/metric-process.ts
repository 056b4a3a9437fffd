/**
 * Metrics of the process: memory, CPU, open files, build. Not prom-client's default metrics, because they start a
 * performance observer that cannot be stopped, for every app in the process. Called by metrics.ts.
 */
import { readdirSync } from 'node:fs';
import type { Registry } from 'prom-client';
import { pulled } from './pulled-metric.ts';

export function registerProcess(registry: Registry, version: string): void {
  const gauge = (name: string, help: string, value: () => number | undefined): void =>
    pulled(registry, 'gauge', name, help, () => {
      const now = value();
      return now === undefined ? [] : [{ labels: {}, value: now }];
    });
  pulled(registry, 'gauge', 'weir_build_info', 'Version of Weir and of Node.js; always 1', () => [
    { labels: { version, node_version: process.version }, value: 1 },
  ]);
  pulled(registry, 'counter', 'weir_process_cpu_seconds_total', 'CPU time used', () => {
    const { user, system } = process.cpuUsage();
    return [{ labels: {}, value: (user + system) / 1e6 }];
  });
  const startedAt = Date.now() / 1000 - process.uptime();
  gauge('weir_process_start_time_seconds', 'Start of the process, epoch seconds', () => startedAt);
  gauge('weir_process_resident_memory_bytes', 'Resident memory', () => process.memoryUsage.rss());
  gauge('weir_process_heap_used_bytes', 'JavaScript heap in use', () => process.memoryUsage().heapUsed);
  gauge(
    'weir_process_external_memory_bytes',
    'Memory of buffers outside of the heap',
    () => process.memoryUsage().external,
  );
  gauge('weir_process_open_fds', 'Open file descriptors', openFiles);
}

/** @returns undefined on systems other than Linux */
function openFiles(): number | undefined {
  try {
    return readdirSync('/proc/self/fd').length;
  } catch {
    return undefined;
  }
}
