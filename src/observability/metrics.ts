/**
 * /metrics: one prom-client registry per app. Most values are read from the other rooms at each scrape (metric-*.ts);
 * rare events (refused log-ins, ejections, unexpected errors) are counted here. Made by the app.
 */
import { Registry } from 'prom-client';
import { createEventLoopDelay } from './event-loop.ts';
import { registerCache } from './metric-cache.ts';
import { registerNodes } from './metric-nodes.ts';
import { registerClients, registerPools } from './metric-pools.ts';
import { registerProcess } from './metric-process.ts';
import { registerQueries } from './metric-queries.ts';
import { pulled, pulledSummary } from './pulled-metric.ts';
import type { StatsSources } from './types.ts';

export interface Metrics {
  /** For the Content-Type header. */
  readonly contentType: string;
  /** All metrics in Prometheus's text format. */
  text(): Promise<string>;
  /** Counts a refused log-in. `reason` is one of a fixed set (RefusalReason), never user input. */
  authFailed(reason: string): void;
  /** Counts an ejection of a node: "connect", "lost", "timeout", "shutdown" ... */
  nodeEjected(reason: string): void;
  /** Counts an exception that was not expected. */
  unexpectedError(): void;
  /** p99 of the event loop's delay over the last 10 to 20 s, in ms. */
  eventLoopDelayMs(): number;
  close(): void;
}

/** One row for each file of metrics that are read from the other rooms. */
const groups: readonly ((registry: Registry, sources: StatsSources) => void)[] = [
  registerClients,
  registerPools,
  registerQueries,
  registerNodes,
  registerCache,
];

/** Counts by reason. Further distinct reasons count as 'other'. */
const mostReasons = 30;

class ReasonCounter {
  private readonly counts = new Map<string, number>();

  add(reason: string): void {
    const key = this.counts.has(reason) || this.counts.size < mostReasons ? reason : 'other';
    this.counts.set(key, (this.counts.get(key) ?? 0) + 1);
  }

  *samples(): Generator<{ labels: { reason: string }; value: number }> {
    for (const [reason, value] of this.counts) yield { labels: { reason }, value };
  }
}

export function createMetrics(sources: StatsSources): Metrics {
  const registry = new Registry();
  const authFailures = new ReasonCounter();
  const ejections = new ReasonCounter();
  const eventLoop = createEventLoopDelay();
  let unexpected = 0;

  for (const register of groups) register(registry, sources);
  pulled(registry, 'counter', 'weir_node_ejections_total', 'Times a node was taken out of routing', () =>
    ejections.samples(),
  );
  pulled(registry, 'counter', 'weir_auth_failures_total', 'Log-ins of clients refused', () => authFailures.samples());
  pulled(
    registry,
    'counter',
    'weir_unexpected_errors_total',
    'Errors that nothing was prepared for: report them',
    () => [{ labels: {}, value: unexpected }],
  );
  pulled(registry, 'counter', 'weir_stuck_total', 'Connections that had to be closed as stuck: report them', () =>
    Object.entries(sources.stuck()).map(([kind, value]) => ({ labels: { kind }, value })),
  );
  pulledSummary(
    registry,
    'weir_event_loop_delay_seconds',
    'How late timers fire; above 0.02 Weir itself is the bottleneck',
    () => eventLoop.summary(),
  );
  registerProcess(registry, sources.version);

  return {
    contentType: registry.contentType,
    text: () => registry.metrics(),
    authFailed: (reason) => authFailures.add(reason),
    nodeEjected: (reason) => ejections.add(reason),
    unexpectedError: () => void unexpected++,
    eventLoopDelayMs: () => (eventLoop.summary().quantiles.get(0.99) ?? 0) * 1000,
    close: () => eventLoop.close(),
  };
}
