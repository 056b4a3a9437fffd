/**
 * Metrics of the process, or of all workers together: memory, CPU, open files, build, rare events. Not prom-client's
 * default metrics, because they start a performance observer that cannot be stopped, for every app in the process.
 * Called by metrics.ts.
 */
import type { Registry } from 'prom-client';
import { pulled, pulledSummary, type Sample } from './pulled-metric.ts';
import type { ProcessFigures } from './types.ts';

export function registerProcess(registry: Registry, version: string, now: () => ProcessFigures): void {
  const one = (
    type: 'counter' | 'gauge',
    name: string,
    help: string,
    value: (figures: ProcessFigures) => number | undefined,
  ): void =>
    pulled(registry, type, name, help, () => {
      const figure = value(now());
      return figure === undefined ? [] : [{ labels: {}, value: figure }];
    });
  pulled(registry, 'gauge', 'weir_build_info', 'Version of Weir and of Node.js; always 1', () => [
    { labels: { version, node_version: process.version }, value: 1 },
  ]);
  one('counter', 'weir_process_cpu_seconds_total', 'CPU time used', (figures) => figures.cpuSeconds);
  one(
    'gauge',
    'weir_process_start_time_seconds',
    'Start of the process, epoch seconds',
    (figures) => figures.startedAtSeconds,
  );
  one('gauge', 'weir_process_resident_memory_bytes', 'Resident memory', (figures) => figures.residentBytes);
  one('gauge', 'weir_process_heap_used_bytes', 'JavaScript heap in use', (figures) => figures.heapUsedBytes);
  one(
    'gauge',
    'weir_process_external_memory_bytes',
    'Memory of buffers outside of the heap',
    (figures) => figures.externalBytes,
  );
  one('gauge', 'weir_process_open_fds', 'Open file descriptors', (figures) => figures.openFiles);
  one(
    'counter',
    'weir_unexpected_errors_total',
    'Errors that nothing was prepared for: report them',
    (figures) => figures.unexpectedErrors,
  );
  pulledSummary(
    registry,
    'weir_event_loop_delay_seconds',
    'How late timers fire; above 0.02 Weir itself is the bottleneck',
    () => now().eventLoop,
  );
}

/** Metrics of events by their reason. */
export function registerReasons(registry: Registry, now: () => ProcessFigures): void {
  const byReason = (counts: Readonly<Record<string, number>>): Sample[] =>
    Object.entries(counts).map(([reason, value]) => ({ labels: { reason }, value }));
  pulled(registry, 'counter', 'weir_node_ejections_total', 'Times a node was taken out of routing', () =>
    byReason(now().ejections),
  );
  pulled(registry, 'counter', 'weir_peer_cancels_total', 'CancelRequests for clients of other Weirs (peers)', () =>
    Object.entries(now().peerCancels ?? {}).map(([outcome, value]) => ({ labels: { outcome }, value })),
  );
  pulled(registry, 'counter', 'weir_trace_spans_dropped_total', 'Spans of statements that no collector has got', () =>
    byReason(now().droppedSpans ?? {}),
  );
  pulled(registry, 'counter', 'weir_auth_failures_total', 'Log-ins of clients refused', () =>
    byReason(now().authFailures),
  );
  pulled(registry, 'counter', 'weir_pool_resizes_total', "Changes of a pool's size, by direction and reason", () =>
    Object.entries(now().resizes).map(([key, value]) => {
      const [direction = '', reason = ''] = key.split(':', 2);
      return { labels: { direction, reason }, value };
    }),
  );
}
