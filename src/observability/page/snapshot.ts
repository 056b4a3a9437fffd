/**
 * One snapshot of the page, from the same sources as the metrics: of each kind the rows that are most worth a look, so that it
 * stays small with thousands of pools. Has no secrets. Pure. Used by feed.ts.
 */
import type { PoolStats } from '../../pool/types.ts';
import type { ClientStats } from '../../session/types.ts';
import type { NodeState } from '../../topology/types.ts';
import { mostClients, notableClients } from '../notable-clients.ts';
import type { ProcessFigures, ServingState, StatsSources } from '../types.ts';
import type { Slot } from './slot-types.ts';
import { rounded, trafficOf } from './points.ts';
import { problemsOf } from './problems.ts';
import type { Rates } from './rates.ts';
import type {
  CacheRow,
  ClientRow,
  DatabaseRow,
  ForecastRow,
  NodeRow,
  PoolRow,
  Rows,
  Snapshot,
  WeirRow,
} from './types.ts';

export interface SnapshotFigures {
  readonly sources: StatsSources;
  /** Of this process, where it is the whole Weir. */
  readonly process: ProcessFigures;
  readonly serving: ServingState;
  readonly slots: readonly Slot[];
  readonly rates: Rates;
  readonly nowMs: number;
  readonly epochMs: number;
}

const mostRows = 100;

function best<T>(rows: T[], rank: (row: T) => number): Rows<T> {
  const ranks = new Map(rows.map((row) => [row, rank(row)]));
  const sorted = rows.sort((a, b) => (ranks.get(b) as number) - (ranks.get(a) as number));
  return { rows: sorted.slice(0, mostRows), total: rows.length };
}

const known = (value: number): number | null => (Number.isFinite(value) ? rounded(value) : null);

export function snapshotOf(figures: SnapshotFigures): Snapshot {
  const { sources, serving, slots, rates, nowMs, epochMs } = figures;
  const pools = Array.from(sources.pools(), (pool) => pool.stats());
  const process = sources.whole?.process ?? figures.process;
  const traffic = trafficOf(slots);
  const clients = [...sources.clients()];
  return {
    atMs: epochMs,
    weir: weirRow(sources, process),
    problems: problemsOf({ sources, pools, process, serving, traffic, nowMs }),
    traffic,
    clientStates: statesOf(clients),
    pools: best(pools.map(poolRow), poolRank),
    nodes: best(nodeRows(sources, nowMs), nodeRank),
    databases: databaseRows(sources, rates),
    forecast: best(forecastRows(sources), ({ predicted }) => predicted ?? -1),
    cache: cacheRow(sources),
    clients: { rows: notableClients(clients, epochMs).slice(0, mostClients).map(clientRow), total: clients.length },
  };
}

/** For who may not see who the clients are. */
export function figuresOnly({ clients: _clients, ...figures }: Snapshot): Snapshot {
  return figures;
}

function weirRow(sources: StatsSources, process: ProcessFigures): WeirRow {
  return {
    version: sources.version,
    startedAtMs: Math.round(process.startedAtSeconds * 1000),
    workers: [...sources.workers()].length,
    residentBytes: process.residentBytes,
    memoryLimitBytes: sources.memory().limitBytes,
    cpuBusy: rounded(process.busy.average),
    loopDelayMs: rounded((process.eventLoop.quantiles.get(0.99) ?? 0) * 1000),
  };
}

function statesOf(clients: readonly ClientStats[]): Record<string, number> {
  const states: Record<string, number> = {};
  for (const { state } of clients) states[state] = (states[state] ?? 0) + 1;
  return states;
}

function poolRow(stats: PoolStats): PoolRow {
  const { database, user, node, idle, login, limit, min, max, pinned, waiting, lastResize } = stats;
  return {
    ...{ database, user, node, mode: stats.poolMode, active: stats.active + stats.resetting, idle, login },
    ...{ limit, min, max, pinned, waiting, maxWaitMs: Math.round(stats.maxWaitMs) },
    ...{ isPaused: stats.isPaused, isOverloaded: stats.isOverloaded },
    problem: stats.connectProblem ?? null,
    lastResize: lastResize ?? null,
  };
}

function poolRank({ problem, isOverloaded, isPaused, waiting, maxWaitMs, active, limit }: PoolRow): number {
  const trouble = problem !== null || isOverloaded ? 1e9 : isPaused ? 1e8 : 0;
  return trouble + (waiting > 0 ? 1e6 + maxWaitMs : 0) + active + (limit > 0 ? active / limit : 0);
}

function nodeRows(sources: StatsSources, nowMs: number): NodeRow[] {
  return [...sources.topologies()].flatMap((topology) =>
    topology.snapshot().nodes.map((node) => ({
      database: topology.database,
      name: node.name,
      address: `${node.config.host}:${node.config.port}`,
      role: node.role,
      state: nodeState(node, nowMs),
      lagMs: known(node.lagMs),
      lagBytes: known(node.lagBytes),
      outstanding: node.load.outstanding,
      slowdown: known(node.load.ewma),
      version: node.serverVersion ?? null,
      problem: remarkOf(node),
    })),
  );
}

function remarkOf({ circuit = 'closed', circuitWhy, problem }: NodeState): string | null {
  return (circuit === 'closed' ? undefined : circuitWhy) ?? problem ?? null;
}

function nodeState(node: NodeState, nowMs: number): NodeRow['state'] {
  if (!node.isUp) return 'down';
  if (node.isDraining) return 'draining';
  if (node.circuit === 'open' || node.ejectedUntilMs > nowMs) return 'ejected';
  if (node.circuit === 'half-open') return 'trial';
  return node.isLagging === true ? 'lagging' : 'up';
}

/** The order of the configuration, with what is not well in front. */
const nodeRank = ({ state }: NodeRow): number => (state === 'up' ? 0 : state === 'down' ? 2 : 1);

function databaseRows(sources: StatsSources, rates: Rates): Rows<DatabaseRow> {
  const problems = new Map(Array.from(sources.databases(), (each) => [each.name, each]));
  const rows = Array.from(sources.databaseStats(), ({ database, misroutes }) => {
    const { problem, isPaused = false, isDisabled = false } = problems.get(database) ?? {};
    const stopped = isPaused ? 'paused' : isDisabled ? 'disabled' : null;
    return { name: database, traffic: rates.of(database), misroutes, problem: problem ?? stopped };
  });
  return best(rows, ({ problem, traffic }) => (problem === null ? 0 : 1e12) + (traffic?.queries ?? 0));
}

function forecastRows(sources: StatsSources): ForecastRow[] {
  return Array.from(sources.forecast(), ({ database, user, node, now, predicted, confidence, why, day }) => ({
    ...{ database, user, node, now, predicted: predicted ?? null, confidence, why, day },
  }));
}

function cacheRow(sources: StatsSources): CacheRow {
  const { isEnabled, bytes, maxBytes, entries, hits, misses, stores, evictions, redis, workers, invalidations } =
    sources.cacheStats();
  const invalidated = Object.values(invalidations).reduce((sum, count) => sum + count, 0);
  return {
    isEnabled,
    bytes,
    maxBytes,
    entries,
    hits,
    misses,
    stores,
    evictions,
    invalidations: invalidated,
    redis,
    workers,
  };
}

function clientRow(client: ClientStats): ClientRow {
  const { id, database, user, state, requestAtMs, waitMs, node, pins, lastRoute } = client;
  return {
    ...{ id, database, user, application: client.applicationName, address: `${client.host}:${client.port}`, state },
    ...{ requestAtMs: Math.round(requestAtMs), waitMs: Math.round(waitMs), node, pins, lastRoute },
  };
}
