/**
 * Where a request goes: a pure function of what the session says (RoutingFacts), what the nodes look like
 * (TopologySnapshot) and chance. Keeps no state, waits for nothing: no node means "wait for a new snapshot".
 * Called by the session for every request, by `weir explain` and EXPLAIN ROUTE; the reason in words is in decision.ts.
 */
import type { NodeState, TopologySnapshot } from '../topology/types.ts';
import { isBehind, obstacleOf } from './eligible.ts';
import { costOf, drawByShare, isClearlyCheaper, MAX_CANDIDATES, pickBlindly } from './pick.ts';
import { Decision, type RouteSettings, type Turn } from './decision.ts';
import type { RoutingFacts } from './types.ts';

/** The node of a request. `random` gives numbers in [0, 1); `turn` is counted on by round-robin alone. */
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
  if (set !== 0) return balance(set, facts, snapshot, settings, random, turn);

  const fallback = settings.primaryReads === 'never' ? undefined : primary;
  // Writes have nowhere else to go: reads that could wait for a replica leave half of the primary to them.
  if (fallback !== undefined && fallback.load.fallbackReads >= fallback.load.fallbackRoom) {
    return new Decision('no room to fall back', undefined, facts, snapshot, settings);
  }
  return new Decision('no replica eligible', fallback, facts, snapshot, settings);
}

/** A read that fell back: would a replica take it if only it were known to have replayed more? */
export function isMerelyBehind(decision: Decision): boolean {
  if (!decision.isFallback) return false;
  const { snapshot, settings } = decision;
  return snapshot.replicas.some((node) => isBehind(obstacleOf(node, decision, settings.maxReplicaLagMs)));
}

function usable(primary: NodeState | undefined): NodeState | undefined {
  return primary !== undefined && primary.isUp && !primary.isDraining ? primary : undefined;
}

/** Bit set over `snapshot.nodes` of those that may take this read. */
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

function balance(
  set: number,
  facts: RoutingFacts,
  snapshot: TopologySnapshot,
  settings: RouteSettings,
  random: () => number,
  turn: Turn,
): Decision {
  const { nodes } = snapshot;
  const how = settings.loadBalanceHosts;
  if (how !== 'least-load') {
    const index = pickBlindly(how, nodes, set, random, turn.value);
    if (how === 'round-robin') turn.value = (turn.value + 1) >>> 0;
    return new Decision('balanced', nodes[index], facts, snapshot, settings);
  }
  const first = drawByShare(nodes, set, random);
  const one = nodes[first]!;
  const oneCost = costOf(one, facts.nowMs);
  const rest = set & ~(1 << first);
  if (rest === 0) return new Decision('balanced', one, facts, snapshot, settings, oneCost);
  const two = nodes[drawByShare(nodes, rest, random)]!;
  const twoCost = costOf(two, facts.nowMs);
  return isClearlyCheaper(twoCost, oneCost)
    ? new Decision('balanced', two, facts, snapshot, settings, twoCost, one, oneCost)
    : new Decision('balanced', one, facts, snapshot, settings, oneCost, two, twoCost);
}
