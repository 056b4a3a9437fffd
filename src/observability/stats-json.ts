/**
 * /stats.json: the figures that the dashboard shows, as one object, made at each request from the same sources as the
 * metrics. Has totals only; the reader computes rates from two of them. Has no secrets. Called by http.ts.
 */
import { byRoute } from '../util/by-route.ts';
import type { StatsSources } from './types.ts';

const mostPools = 500;

/** JSON has no Infinity: an unknown value is null. */
const known = (value: number): number | null => (Number.isFinite(value) ? value : null);

export function statsJson(sources: StatsSources, nowMs: number): object {
  const clients: Record<string, number> = {};
  let pinned = 0;
  for (const client of sources.clients()) {
    clients[client.state] = (clients[client.state] ?? 0) + 1;
    if (client.pins.length > 0) pinned++;
  }
  return {
    version: sources.version,
    ...ofProcess(sources, nowMs),
    clients,
    pinnedClients: pinned,
    databases: Array.from(sources.databaseStats(), databaseJson),
    nodes: nodesJson(sources, nowMs),
    pools: poolsJson(sources),
    forecast: forecastJson(sources),
    cache: sources.cacheStats(),
    stuck: sources.stuck(),
  };
}

/** Readers compute rates from two answers, which may come from two workers: then `atMs` is time that both have. */
function ofProcess({ whole }: StatsSources, nowMs: number): object {
  if (whole === undefined)
    return { uptimeSeconds: Math.round(process.uptime()), atMs: nowMs, residentBytes: process.memoryUsage.rss() };
  const { startedAtSeconds, residentBytes } = whole.process;
  const atMs = Date.now();
  return { uptimeSeconds: Math.round(atMs / 1000 - startedAtSeconds), atMs, residentBytes };
}

function databaseJson(stats: ReturnType<StatsSources['databaseStats']> extends Iterable<infer T> ? T : never): object {
  const { database, queries, xacts, queryMs, misroutes, recoveryConflicts } = stats;
  return { database, queries, xacts, queryMs, misroutes, recoveryConflicts, ...byRoute(stats.byLabel) };
}

function nodesJson(sources: StatsSources, nowMs: number): object[] {
  return [...sources.topologies()].flatMap((topology) =>
    topology.snapshot().nodes.map((node) => ({
      database: topology.database,
      name: node.name,
      address: `${node.config.host}:${node.config.port}`,
      role: node.role,
      isUp: node.isUp,
      isDraining: node.isDraining,
      isEjected: node.ejectedUntilMs > nowMs,
      lagMs: known(node.lagMs),
      lagBytes: known(node.lagBytes),
      outstanding: node.load.outstanding,
      slowdown: known(node.load.ewma),
      connectionLimit: node.connectionLimit,
      problem: node.problem ?? null,
    })),
  );
}

function poolsJson(sources: StatsSources): object[] {
  const pools: object[] = [];
  for (const control of sources.pools()) {
    if (pools.length >= mostPools) break;
    const pool = control.stats();
    const { database, user, node, poolMode, limit, min, max, active, idle, login, resetting, pinned, waiting } = pool;
    pools.push({
      ...{ database, user, node, poolMode, limit, min, max, active, idle, login, resetting, pinned, waiting },
      maxWaitMs: pool.maxWaitMs,
      isPaused: pool.isPaused,
      waits: pool.waits,
      connectProblem: pool.connectProblem ?? null,
      lastResize: pool.lastResize ?? null,
    });
  }
  return pools;
}

function forecastJson(sources: StatsSources): object[] {
  return [...sources.forecast()].slice(0, mostPools).map((row) => ({ ...row, predicted: row.predicted ?? null }));
}
