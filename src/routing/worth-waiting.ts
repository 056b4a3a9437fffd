/**
 * Until when a request that found no node may wait for one: a circuit that too many failures have opened is not waited for,
 * one of a node that is down only for as long as a failover may take. Called by request/steps/find-server.ts.
 */
import type { NodeState, TopologySnapshot } from '../topology/types.ts';
import type { Decision } from './decision.ts';
import { MAX_TRIALS, isBehind, isOnTrial, obstacleOf, type Obstacle } from './eligible.ts';

/**
 * @param failoverWaitMs routing.failover_wait
 * @returns monotonic ms; -Infinity: it should not wait at all; Infinity: no circuit is in the way
 */
export function worthWaitingUntil(decision: Decision, failoverWaitMs: number): number {
  let until = -Infinity;
  for (const node of nodesFor(decision)) until = Math.max(until, untilOf(node, decision.nowMs, failoverWaitMs));
  return until;
}

function untilOf({ circuit, circuitSinceMs = 0, ejectedUntilMs }: NodeState, nowMs: number, waitMs: number): number {
  if (circuit !== 'open') return Infinity;
  return ejectedUntilMs > nowMs ? -Infinity : circuitSinceMs + waitMs;
}

/** The nodes that could ever take it. */
function nodesFor(decision: Decision): readonly NodeState[] {
  const { verdict, snapshot, settings, forced } = decision;
  if (verdict === 'no replica eligible' || verdict === 'no room to fall back') {
    if (settings.primaryReads === 'never' || forced === 'replica') return replicasOf(snapshot);
    if (snapshot.primary?.circuit !== 'open') return snapshot.nodes;
    return snapshot.nodes.filter((node) => !waitsForPrimary(obstacleOf(node, decision, settings.maxReplicaLagMs)));
  }
  // Of a primary that nobody knows, each node may become it.
  return snapshot.primary === undefined ? snapshot.nodes : [snapshot.primary];
}

/** A replica that has not replayed enough, or lags, does not get more without a primary. */
const waitsForPrimary = (obstacle: Obstacle): boolean =>
  isBehind(obstacle) || obstacle === 'lagging' || obstacle === 'catching up';

const replicasOf = ({ replicas, nodes }: TopologySnapshot): readonly NodeState[] =>
  replicas.length === 0 ? nodes : replicas;

/**
 * Why a client must not wait for a connection to the primary: nobody else can do its work, and its circuit is open. Undefined:
 * it may.
 * @param waiting how many clients wait for one already
 */
export function circuitRefusal(node: NodeState, waiting: () => number, nowMs: number): string | undefined {
  if (node.role !== 'primary' || !isOnTrial(node)) return undefined;
  const why = `the circuit of primary ${node.name} is ${node.circuit}: ${node.circuitWhy ?? ''}`;
  if (node.ejectedUntilMs > nowMs) return why;
  return waiting() >= MAX_TRIALS ? `${why}, and ${MAX_TRIALS} clients are let through at a time` : undefined;
}
