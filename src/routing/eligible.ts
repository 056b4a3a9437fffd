/**
 * May this replica answer this read? Runs one test after another and returns the first that fails; describeObstacle()
 * puts it in words. Called by route.ts for each replica and each read, so it allocates nothing.
 */
import type { NodeState } from '../topology/types.ts';
import { formatLsn } from '../util/lsn.ts';
import type { RoutingFacts } from './types.ts';

/** As RoutingFacts.avoid: avoid every replica. No node has this name. */
export const anyReplica = '*';

/** So many reads, or clients that wait for the primary, may be under way at a node whose circuit is half-open. */
export const MAX_TRIALS = 3;

/** The part of RoutingFacts that decides whether a replica is eligible. */
export type Demands = Pick<RoutingFacts, 'avoid' | 'consistency' | 'needLsn' | 'lastNode' | 'moveLsn' | 'nowMs'>;

export type Obstacle =
  | 'none'
  | 'down'
  | 'not a replica'
  | 'draining'
  | 'avoided'
  | 'ejected'
  | 'on trial'
  | 'lagging'
  | 'catching up'
  | 'need not known'
  | 'behind need'
  | 'move not known'
  | 'behind move';

/**
 * @param maxReplicaLagMs routing.max_replica_lag
 * @returns 'none' if the replica may answer the read
 */
export function obstacleOf(node: NodeState, facts: Demands, maxReplicaLagMs: number): Obstacle {
  if (!node.isUp) return 'down';
  if (node.role !== 'replica') return 'not a replica';
  if (node.isDraining) return 'draining';
  if (node.name === facts.avoid || facts.avoid === anyReplica) return 'avoided';
  if (node.ejectedUntilMs > facts.nowMs) return 'ejected';
  if (isOnTrial(node) && node.load.trials >= MAX_TRIALS) return 'on trial';
  if (isLagging(node, facts.nowMs, maxReplicaLagMs)) return 'lagging';
  if (facts.consistency === 'eventual') return 'none';
  if (node.isCatchingUp === true) return 'catching up';
  if (facts.needLsn === undefined) return 'need not known';
  if (!(node.lsn >= facts.needLsn)) return 'behind need';
  if (facts.lastNode === node.name) return 'none';
  if (facts.moveLsn === undefined) return 'move not known';
  return node.lsn >= facts.moveLsn ? 'none' : 'behind move';
}

/** Its circuit is not closed: what it gets now is a trial. */
export function isOnTrial({ circuit }: NodeState): boolean {
  return circuit !== 'closed' && circuit !== undefined;
}

/** The replica may not answer only because it has not replayed enough WAL, or because the LSN is not known. */
export function isBehind(obstacle: Obstacle): boolean {
  return (
    obstacle === 'need not known' ||
    obstacle === 'behind need' ||
    obstacle === 'move not known' ||
    obstacle === 'behind move'
  );
}

/** A replica of unknown lag counts as lagging. Without a new probe, the lag grows with the time since the last one. */
function isLagging(node: NodeState, nowMs: number, maxMs: number): boolean {
  if (node.isLagging ?? !(node.lagMs <= maxMs)) return true;
  return node.caughtUpAtMs !== undefined && nowMs - node.caughtUpAtMs > maxMs;
}

/** The obstacle as text, beginning with the name of the node. */
export function describeObstacle(node: NodeState, facts: Demands, obstacle: Obstacle): string {
  switch (obstacle) {
    case 'none':
      return `${node.name} is eligible`;
    case 'down':
      return `${node.name} is down (${node.problem ?? 'no reason known'})`;
    case 'not a replica':
      return `${node.name} is not a replica`;
    case 'draining':
      return `${node.name} is draining`;
    case 'avoided':
      return `${node.name} has just failed it`;
    case 'ejected':
      return `${node.name} is ejected for ${Math.ceil((node.ejectedUntilMs - facts.nowMs) / 1000)} s${node.circuitWhy === undefined ? '' : ` (circuit open: ${node.circuitWhy})`}`;
    case 'on trial':
      return `${node.name} is on trial (its circuit is half-open), and ${MAX_TRIALS} reads are under way there`;
    case 'lagging':
      return `${node.name} lags ${describeLag(node, facts.nowMs)}`;
    case 'catching up':
      return `${node.name} came back and is not yet known to be as far as it was`;
    case 'need not known':
      return `${node.name}: the LSN of the last write is not known yet`;
    case 'behind need':
      return `${node.name} replayed only ${formatLsn(node.lsn)}`;
    case 'move not known':
      return facts.lastNode === ''
        ? `${node.name}: how far earlier reads were is not known yet`
        : `${node.name}: how far ${facts.lastNode} was when last read is not known yet`;
    case 'behind move':
      return `${node.name} replayed only ${formatLsn(node.lsn)}, ${facts.lastNode === '' ? 'earlier reads' : `reads on ${facts.lastNode}`} were at ${formatLsn(facts.moveLsn ?? 0)}`;
  }
}

function describeLag(node: NodeState, nowMs: number): string {
  const lagMs = node.caughtUpAtMs === undefined ? node.lagMs : nowMs - node.caughtUpAtMs;
  return Number.isFinite(lagMs) ? `${Math.round(lagMs)} ms` : 'an unknown time';
}
