/**
 * /metrics: one prom-client registry per app. Values are read from the other rooms at each scrape (metric-*.ts); rare
 * events are counted in process-counters.ts. With several workers, the figures are those of all. Made by the app.
 */
import { Registry } from 'prom-client';
import { registerBudgets } from './metric-budgets.ts';
import { registerCache } from './metric-cache.ts';
import { registerForecast } from './metric-forecast.ts';
import { registerMemory } from './metric-memory.ts';
import { registerConnectionBudget } from './metric-connection-budget.ts';
import { registerLimits } from './metric-limits.ts';
import { registerNodes } from './metric-nodes.ts';
import { registerClients, registerPools } from './metric-pools.ts';
import { registerProcess, registerReasons } from './metric-process.ts';
import { registerQueries } from './metric-queries.ts';
import { registerScale } from './metric-scale.ts';
import { registerWorkers } from './metric-workers.ts';
import { ProcessCounters } from './process-counters.ts';
import { pulled } from './pulled-metric.ts';
import type { ProcessFigures, StatsSources, WorkerFigures } from './types.ts';

export interface Metrics {
  /** For the Content-Type header. */
  readonly contentType: string;
  /** All metrics in Prometheus's text format. */
  text(): Promise<string>;
  /** Counts a refused log-in. `reason` is one of a fixed set (RefusalReason), never user input. */
  authFailed(reason: string): void;
  /** A CancelRequest for a client of another Weir: what became of it. */
  peerCancelled(outcome: string): void;
  /** Counts spans that no collector has got: "not_sent", or "queue_full" (not even made). */
  spansDropped(reason: 'not_sent' | 'queue_full', count: number): void;
  /** Counts an ejection of a node: "connect", "lost", "timeout", "shutdown" ... */
  nodeEjected(reason: string): void;
  /** Counts an exception that was not expected. */
  unexpectedError(): void;
  /** p99 of the event loop's delay over the last 10 to 20 s, in ms. */
  eventLoopDelayMs(): number;
  /** Counts and measures of this process alone. */
  ofProcess(): ProcessFigures;
  close(): void;
}

/** One row for each file of metrics that are read from the other rooms. */
const groups: readonly ((registry: Registry, sources: StatsSources) => void)[] = [
  registerClients,
  registerPools,
  registerQueries,
  registerNodes,
  registerScale,
  registerCache,
  registerStuck,
  registerMemory,
  registerLimits,
  registerConnectionBudget,
  registerBudgets,
  registerForecast,
  registerWorkers,
];

function registerStuck(registry: Registry, sources: StatsSources): void {
  pulled(registry, 'counter', 'weir_stuck_total', 'Connections that had to be closed as stuck: report them', () =>
    Object.entries(sources.stuck()).map(([kind, value]) => ({ labels: { kind }, value })),
  );
}

/** What one scrape reads; what is costly, once. */
class Scrape {
  readonly sources: StatsSources;
  private readonly ofProcess: () => ProcessFigures;
  private figures: ProcessFigures | undefined;
  private rows: readonly WorkerFigures[] | undefined;

  constructor(sources: StatsSources, ofProcess: () => ProcessFigures) {
    this.sources = sources;
    this.ofProcess = ofProcess;
  }

  process(): ProcessFigures {
    return (this.figures ??= this.sources.whole?.process ?? this.ofProcess());
  }

  workers(): readonly WorkerFigures[] {
    return (this.rows ??= [...this.sources.workers()]);
  }
}

/**
 * @param own the figures of this process
 * @param gather those of the whole Weir; undefined: this process is all of it
 */
export function createMetrics(own: StatsSources, gather?: () => Promise<StatsSources>): Metrics {
  const registry = new Registry();
  const counters = new ProcessCounters();
  const ofProcess = (): ProcessFigures => counters.read(own);
  let scrape = new Scrape(own, ofProcess);
  const sources = following(() => scrape);
  for (const register of groups) register(registry, sources);
  registerReasons(registry, () => scrape.process());
  registerProcess(registry, own.version, () => scrape.process());

  return {
    contentType: registry.contentType,
    async text() {
      const now = gather === undefined ? own : await gather();
      scrape = new Scrape(now, ofProcess);
      // Reads every metric before its first await, so that another scrape cannot come in between.
      return registry.metrics();
    },
    authFailed: (reason) => counters.authFailures.add(reason),
    peerCancelled: (outcome) => counters.peerCancels.add(outcome),
    spansDropped: (reason, count) => counters.droppedSpans.add(reason, count),
    nodeEjected: (reason) => counters.ejections.add(reason),
    unexpectedError: () => void counters.unexpectedErrors++,
    eventLoopDelayMs: () => (counters.eventLoop.summary().quantiles.get(0.99) ?? 0) * 1000,
    ofProcess,
    close: () => {
      counters.eventLoop.close();
      counters.busy.close();
    },
  };
}

/** Reads from the sources of the present scrape. */
function following(scrape: () => Scrape): StatsSources {
  const now = (): StatsSources => scrape().sources;
  return {
    get version() {
      return now().version;
    },
    get whole() {
      return now().whole;
    },
    pools: () => now().pools(),
    replicationServers: () => now().replicationServers(),
    clients: () => now().clients(),
    databaseStats: () => now().databaseStats(),
    topologies: () => now().topologies(),
    databases: () => now().databases(),
    cacheStats: () => now().cacheStats(),
    stuck: () => now().stuck(),
    memory: () => now().memory(),
    limits: () => now().limits(),
    connectionBudget: () => now().connectionBudget(),
    decodings: () => now().decodings(),
    budgets: () => now().budgets(),
    forecast: () => now().forecast(),
    statements: () => now().statements(),
    workers: () => scrape().workers(),
  };
}
