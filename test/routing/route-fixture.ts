/** Made-up snapshots and questions for the tests of route(). */
import type { NodeConfig } from '../../src/config/config.ts';
import type { RouteSettings } from '../../src/routing/decision.ts';
import type { RoutingFacts } from '../../src/routing/types.ts';
import type { NodeState, TopologySnapshot } from '../../src/topology/types.ts';

export const NOW = 1_000_000;

export function config(name: string, weight = 1): NodeConfig {
  return { name, host: name, port: 5432, database: undefined, user: undefined, password: undefined, weight };
}

/** A replica that is fine; `weight`, `outstanding` and `ewma` go where they belong. */
export function node(
  name: string,
  more: Partial<NodeState> & { weight?: number; outstanding?: number; ewma?: number } = {},
): NodeState {
  const { weight = 1, outstanding = 0, ewma = 1, ...rest } = more;
  return {
    config: config(name, weight),
    name,
    role: 'replica',
    isUp: true,
    isDraining: false,
    ejectedUntilMs: 0,
    lsn: 1000,
    lagMs: 10,
    lagBytes: 0,
    caughtUpAtMs: NOW - 10,
    isLagging: false,
    slowStart: 1,
    problem: undefined,
    connectionLimit: 97,
    serverVersion: '18.4',
    load: { outstanding, ewma, ewmaAtMs: NOW, fallbackReads: 0, fallbackRoom: Infinity, answered: 0, trials: 0 },
    ...rest,
  };
}

export function snapshot(replicas: readonly NodeState[], primary?: NodeState | null): TopologySnapshot {
  const first = primary === null ? undefined : (primary ?? node('db1', { role: 'primary', lagMs: 0 }));
  return {
    database: 'shop',
    primary: first,
    replicas,
    nodes: first === undefined ? replicas : [first, ...replicas],
    epoch: 1,
  };
}

export function facts(more: Partial<RoutingFacts> = {}): RoutingFacts {
  return {
    isRead: true,
    why: 'read',
    forced: 'auto',
    forcedBy: '',
    consistency: 'session',
    needLsn: 0,
    avoid: '',
    lastNode: '',
    moveLsn: 0,
    key: 'app',
    keyBy: 'user',
    nowMs: NOW,
    ...more,
  };
}

export function settings(more: Partial<RouteSettings> = {}): RouteSettings {
  return { loadBalanceHosts: 'least-load', maxReplicaLagMs: 1000, primaryReads: 'when-needed', ...more };
}

/** The same numbers every time (mulberry32). */
export function chance(seed = 1): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
