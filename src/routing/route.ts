/**
 * Decides which node answers a request, from what the session says (RoutingFacts), the state of the nodes
 * (TopologySnapshot) and random numbers. Has no state and does not wait: without a node, the session waits for a new
 * snapshot and asks again. Called by request/steps/find-server.ts for a request that needs a server, and by
 * request/explain.ts for EXPLAIN ROUTE.
 */
import { MAX_CANDIDATES } from '../balancing/node-set.ts';
import { policies } from '../balancing/policies.ts';
import type { Turn } from '../balancing/types.ts';
import type { NodeState, TopologySnapshot } from '../topology/types.ts';
import { isBehind, obstacleOf } from './eligible.ts';
import { Decision, type RouteSettings } from './decision.ts';
import type { RoutingFacts } from './types.ts';

/**
 * @param random returns numbers in [0, 1)
 * @param turn the position of round-robin; only that policy changes it
 * @returns the decision; its `node` is undefined if no node may take the request now
 */
export function route(
  facts: RoutingFacts,
  snapshot: TopologySnapshot,
  settings: RouteSettings,
  random: () => number,
  turn: Turn,
): Decision {
  const primary = usable(snapshot.primary);
  if (facts.forced === 'primary') return new Decision('forced to the primary', primary, facts, snapshot, settings);
  if (!facts.isRead) return new Decision('write', primary, facts, snapshot, settings);
  if (facts.consistency === 'strict') return new Decision('strict', primary, facts, snapshot, settings);
  if (snapshot.replicas.length === 0) {
    return new Decision('no replicas configured', primary, facts, snapshot, settings);
  }

  const isPrimaryIncluded = settings.primaryReads === 'always-included' && facts.forced !== 'replica';
  const set = candidates(facts, snapshot, settings.maxReplicaLagMs, isPrimaryIncluded ? primary : undefined);
  if (set !== 0) {
    const verdict = settings.loadBalanceHosts === 'hash' ? (`hash of the ${facts.keyBy}` as const) : 'balanced';
    const decision = new Decision(verdict, undefined, facts, snapshot, settings);
    const preferred = settings.zone === undefined ? set : ofZone(settings.zone, snapshot.nodes, set);
    policies[settings.loadBalanceHosts](decision, snapshot.nodes, preferred, random, turn, facts.nowMs, facts.key);
    return decision;
  }

  const fallback = settings.primaryReads === 'never' ? undefined : primary;
  // Reads that fall back to the primary leave half of its connections to writes, which no other node can take.
  if (fallback !== undefined && fallback.load.fallbackReads >= fallback.load.fallbackRoom) {
    return new Decision('no room to fall back', undefined, facts, snapshot, settings);
  }
  return new Decision('no replica eligible', fallback, facts, snapshot, settings);
}

/** No replica may answer the read, and for some it is only because it has not replayed enough WAL, or the LSN is not known. */
export function isMerelyBehind(decision: Decision): boolean {
  if (!decision.isFallback) return false;
  const { snapshot, settings } = decision;
  return snapshot.replicas.some((node) => isBehind(obstacleOf(node, decision, settings.maxReplicaLagMs)));
}

function usable(primary: NodeState | undefined): NodeState | undefined {
  return primary !== undefined && primary.isUp && !primary.isDraining ? primary : undefined;
}

/**
 * @param primary if it may be picked like a replica
 * @returns the nodes that may answer this read, as a bit set over `snapshot.nodes`
 */
function candidates(
  facts: RoutingFacts,
  snapshot: TopologySnapshot,
  maxReplicaLagMs: number,
  primary: NodeState | undefined,
): number {
  const { nodes } = snapshot;
  const count = Math.min(nodes.length, MAX_CANDIDATES);
  let set = 0;
  for (let index = 0; index < count; index++) {
    const node = nodes[index]!;
    if (node === primary || obstacleOf(node, facts, maxReplicaLagMs) === 'none') set |= 1 << index;
  }
  return set;
}

/** @returns those of `set` that have room and are in the zone; else those that have room; else all */
function ofZone(zone: string, nodes: readonly NodeState[], set: number): number {
  let own = 0;
  let roomy = 0;
  for (let index = 0; set >>> index !== 0; index++) {
    if (((set >>> index) & 1) === 0) continue;
    const { config, load } = nodes[index]!;
    if (load.isFull === true) continue;
    roomy |= 1 << index;
    if (config.zone === zone) own |= 1 << index;
  }
  return own || roomy || set;
}
