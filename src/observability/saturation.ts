/**
 * How full each node of each database is, and Weir itself, with advice for an autoscaler: up, hold or down, and the reason in
 * words. Pure: figures in, rows out. What is not known is never advice to scale down. docs/scaling.md has the form. Called by
 * scale.ts and metric-scale.ts.
 */
import type { PoolStats } from '../pool/types.ts';
import type { NodeState } from '../topology/types.ts';
import { spareConnections } from '../util/spare-connections.ts';
import type { StatsSources } from './types.ts';
import { serverKey } from '../util/server-key.ts';

export type Advice = 'up' | 'hold' | 'down';
/** What more of would help: see docs/scaling.md. */
export type Remedy = 'pool' | 'replicas' | 'server' | 'weir';

export interface SaturationRow {
  /** '' with the node "weir": Weir itself. */
  readonly database: string;
  readonly node: string;
  readonly role: 'primary' | 'replica' | 'unknown' | 'weir';
  /** From 0 to 1, over the last seconds; null: not known. */
  readonly saturation: number | null;
  /** The same at the peak of the last minute. */
  readonly peak: number | null;
  readonly advice: Advice;
  /** What to make more of, or less of; null: nothing. */
  readonly remedy: Remedy | null;
  readonly reason: string;
  /** Connections in use and clients waiting, now; what the pools may grow to. Of Weir itself: its processes. */
  readonly inUse: number;
  readonly waiting: number;
  readonly limit: number | null;
}

export const UP_ABOVE = 0.8;
export const DOWN_BELOW = 0.3;
/** So long it must have been little. */
const OBSERVED_MS = 60_000;

interface Bound {
  readonly limit: number;
  readonly remedy: Remedy;
  /** What bounds it. */
  readonly words: string;
}

export function saturationRows(sources: StatsSources, nowMs: number): SaturationRow[] {
  const pools = Array.from(sources.pools(), (pool) => pool.stats());
  const databases = new Map(Array.from(sources.databases(), (row) => [row.name, row]));
  const topologies = Array.from(sources.topologies(), (each) => ({
    database: each.database,
    isSettled: each.isSettled !== false,
    nodes: each.snapshot().nodes,
  }));
  const servers = serversOf(topologies);
  const silent = sources.whole?.silent ?? [];
  const rows = topologies.flatMap(({ database, isSettled, nodes }) =>
    nodes.map((node) => {
      const row = databases.get(database);
      const mine = pools.filter((pool) => pool.database === database && pool.node === node.name);
      const bound = boundOf(node, mine, row, openElsewhere(pools, servers, database, node));
      return nodeRow({
        database,
        node,
        pools: mine,
        bound,
        isSettled,
        isPaused: row?.isPaused === true,
        silent,
        nowMs,
      });
    }),
  );
  return [...rows, weirRow(sources, silent)];
}

function serversOf(topologies: readonly { database: string; nodes: readonly NodeState[] }[]): Map<string, string> {
  return new Map(
    topologies.flatMap(({ database, nodes }) =>
      nodes.map((node) => [`${database}\0${node.name}`, serverKey(node.config)]),
    ),
  );
}

/** Connections that other databases have open at the same server. */
function openElsewhere(
  pools: readonly PoolStats[],
  servers: ReadonlyMap<string, string>,
  database: string,
  node: NodeState,
): number {
  let open = 0;
  for (const pool of pools) {
    if (pool.database === database || servers.get(`${pool.database}\0${pool.node}`) !== serverKey(node.config))
      continue;
    open += pool.active + pool.resetting + pool.login;
  }
  return open;
}

type DatabaseLimits = ReturnType<StatsSources['databases']> extends Iterable<infer T> ? T | undefined : never;

/** What bounds the growth of these pools together, the tightest bound. */
function boundOf(node: NodeState, pools: readonly PoolStats[], limits: DatabaseLimits, elsewhere: number): Bound {
  const isResizing = limits?.isResizing !== false;
  const growth = pools.reduce((sum, { limit, max }) => sum + (isResizing ? Math.max(limit, max) : limit), 0);
  const words = isResizing ? 'max_pool_size' : 'the size of its pools (resize.enabled is false)';
  let bound: Bound = { limit: growth, remedy: 'pool', words };
  const ofDatabase = limits?.maxDbConnections ?? 0;
  if (ofDatabase > 0 && ofDatabase < bound.limit)
    bound = { limit: ofDatabase, remedy: 'pool', words: 'max_db_connections' };
  if (node.connectionLimit > 0) {
    const spare = Math.max(1, spareConnections(node.connectionLimit) - elsewhere);
    const remedy = node.role === 'replica' ? 'replicas' : 'server';
    if (spare < bound.limit) bound = { limit: spare, remedy, words: "what the server's max_connections can spare" };
  }
  return bound;
}

interface NodeFacts {
  readonly database: string;
  readonly node: NodeState;
  readonly pools: readonly PoolStats[];
  readonly bound: Bound;
  readonly isSettled: boolean;
  readonly isPaused: boolean;
  readonly silent: readonly number[];
  readonly nowMs: number;
}

function nodeRow(facts: NodeFacts): SaturationRow {
  const { database, node, pools, bound } = facts;
  const sum = (figure: (pool: PoolStats) => number): number => pools.reduce((total, pool) => total + figure(pool), 0);
  const [inUse, waiting] = [sum(({ active, resetting }) => active + resetting), sum((pool) => pool.waiting)];
  const about = { database, node: node.name, role: node.role, inUse, waiting };
  const unknown = unknownWhy(facts);
  if (unknown !== undefined)
    return { ...about, ...nothing, limit: pools.length === 0 ? null : bound.limit, reason: unknown };
  const shares = {
    saturation: share(
      sum((pool) => pool.load),
      bound.limit,
    ),
    peak: share(
      sum((pool) => pool.peakLoad),
      bound.limit,
    ),
  };
  const observedMs = Math.min(...pools.map((pool) => pool.loadObservedMs));
  const judged = judge({ ...shares, observedMs, silent: facts.silent });
  const load = `${inUse} connections in use and ${waiting} clients waiting, of ${bound.limit} (${bound.words})`;
  const isHolding = judged.advice === 'hold';
  return {
    ...about,
    ...shares,
    limit: bound.limit,
    advice: judged.advice,
    remedy: isHolding ? null : judged.advice === 'down' && node.role === 'replica' ? 'replicas' : bound.remedy,
    reason: `${judged.reason}: now ${load}${isHolding ? '' : `; ${adviceOn(judged.advice, node, bound)}`}`,
  };
}

const nothing = { saturation: null, peak: null, advice: 'hold', remedy: null } as const;

const share = (load: number, limit: number): number => Math.min(1, Math.round((load / Math.max(1, limit)) * 1e4) / 1e4);

/** Why nothing is known of how full it is. */
function unknownWhy({ node, pools, isSettled, isPaused, nowMs }: NodeFacts): string | undefined {
  if (!isSettled) return 'not known: Weir has not looked at the nodes yet';
  if (!node.isUp) return `not known: the node is down (${node.problem ?? 'no reason known'})`;
  if (node.ejectedUntilMs > nowMs) return `not known: its circuit is open (${node.circuitWhy ?? node.problem ?? ''})`;
  if (node.isDraining) return 'not known: the node is draining';
  if (isPaused) return 'not known: the database is paused';
  if (pools.length === 0) return 'not known: no traffic, no client has used this node yet';
  return undefined;
}

interface Judged {
  readonly advice: Advice;
  readonly reason: string;
}

const percent = (value: number): string => `${Math.round(value * 100)} %`;

function judge(of: {
  readonly saturation: number;
  readonly peak: number;
  readonly observedMs: number;
  readonly silent: readonly number[];
}): Judged {
  const { saturation, peak, observedMs, silent } = of;
  if (saturation > UP_ABOVE)
    return { advice: 'up', reason: `${percent(saturation)} over the last seconds, above ${percent(UP_ABOVE)}` };
  if (peak >= DOWN_BELOW)
    return { advice: 'hold', reason: `${percent(saturation)}, at most ${percent(peak)} in the last minute` };
  const little = `at most ${percent(peak)} in the last minute`;
  if (silent.length > 0) return { advice: 'hold', reason: `${little}, but worker ${silent.join(', ')} did not answer` };
  if (observedMs < OBSERVED_MS)
    return { advice: 'hold', reason: `${little}, but observed for ${Math.floor(observedMs / 1000)} s only` };
  return { advice: 'down', reason: `${little}, below ${percent(DOWN_BELOW)}` };
}

function adviceOn(advice: Advice, node: NodeState, { remedy, words }: Bound): string {
  if (advice === 'down')
    return node.role === 'replica' ? 'fewer replicas would do' : 'a smaller pool or server would do';
  if (remedy === 'pool') return `raise ${words}`;
  return remedy === 'replicas' ? 'add replicas' : 'a larger server, or more replicas for its reads';
}

/** Of all processes: a single busy one is no reason for another Weir, as new clients go to the others. */
function weirRow(sources: StatsSources, silent: readonly number[]): SaturationRow {
  const about = { database: '', node: 'weir', role: 'weir', inUse: 0, waiting: 0 } as const;
  const busy = Array.from(sources.workers()).flatMap(({ process }) => (process === undefined ? [] : [process.busy]));
  const limit = busy.length;
  if (limit === 0) return { ...about, ...nothing, limit, reason: 'not known: no process has answered' };
  const mean = (figure: (of: (typeof busy)[number]) => number): number =>
    share(
      busy.reduce((sum, each) => sum + figure(each), 0),
      limit,
    );
  const shares = { saturation: mean((each) => each.average), peak: mean((each) => each.peak) };
  const judged = judge({ ...shares, observedMs: Math.min(...busy.map((each) => each.observedMs)), silent });
  const most = Math.max(...busy.map((each) => each.average));
  const load = `event loops of ${limit} processes busy on average, ${percent(most)} the busiest`;
  const todo = {
    up: '; more workers (if the machine has cores left), or another Weir',
    hold: '',
    down: '; fewer workers or Weirs would do',
  };
  return {
    ...about,
    ...shares,
    limit,
    advice: judged.advice,
    remedy: judged.advice === 'hold' ? null : 'weir',
    reason: `${judged.reason}: ${load}${todo[judged.advice]}`,
  };
}
