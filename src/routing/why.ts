/**
 * The reason of a route in words, one clause per step of the decision: for `SHOW weir.last_route`, `weir explain`, the
 * debug log and tests. Decides nothing; only built when somebody asks.
 */
import type { NodeState } from '../topology/types.ts';
import { formatLsn } from '../util/lsn.ts';
import { describeObstacle, obstacleOf } from './eligible.ts';
import { MAX_CANDIDATES } from './pick.ts';
import type { Decision } from './route.ts';

export function explain(decision: Decision): string {
  switch (decision.verdict) {
    case 'write':
      return join(decision.plan, forcedInVain(decision), onPrimary(decision));
    case 'forced to the primary':
      return join(decision.plan, forced(decision), onPrimary(decision));
    case 'strict':
      return join(decision.plan, forcedInVain(decision), 'consistency=strict', onPrimary(decision));
    case 'no replicas configured':
      return join(decision.plan, forcedInVain(decision), 'no replicas configured', onPrimary(decision));
    case 'balanced':
      return join(decision.plan, forced(decision), demand(decision), picked(decision));
    case 'no replica eligible':
      return join(decision.plan, forced(decision), demand(decision), obstacles(decision), fallback(decision));
    case 'no room to fall back':
      return join(decision.plan, forced(decision), demand(decision), obstacles(decision), noRoom(decision));
  }
}

function join(...clauses: readonly string[]): string {
  return clauses.filter((clause) => clause !== '').join('; ');
}

function forced(decision: Decision): string {
  return decision.forced === 'auto' ? '' : `route=${decision.forced} by ${decision.forcedBy}`;
}

function forcedInVain(decision: Decision): string {
  return decision.forced === 'auto' ? '' : `${forced(decision)} not followed`;
}

function onPrimary({ node, snapshot: { primary } }: Decision): string {
  if (node !== undefined) return `primary ${node.name}`;
  if (primary === undefined) return 'no primary is known';
  if (!primary.isUp) return `primary ${primary.name} is down (${primary.problem ?? 'no reason known'})`;
  return `primary ${primary.name} is draining`;
}

function demand({ consistency, needLsn }: Decision): string {
  if (consistency !== 'session') return `consistency=${consistency}`;
  if (needLsn === undefined) return 'consistency=session needs an LSN not known yet';
  if (needLsn === Infinity) return 'consistency=session needs the primary (its last write was on an older timeline)';
  return needLsn === 0 ? 'consistency=session needs nothing' : `consistency=session needs ${formatLsn(needLsn)}`;
}

function picked(decision: Decision): string {
  const { node, other, cost, otherCost, settings } = decision;
  if (node === undefined) return '';
  const state = node.role === 'primary' ? `${node.name} is the primary` : stateOf(node, decision);
  if (settings.loadBalanceHosts !== 'least-load') {
    return `${state}; picked ${node.name} (${settings.loadBalanceHosts})`;
  }
  const price = `${node.name} (cost ${cost.toFixed(1)})`;
  if (other === undefined) {
    const rest = obstacles(decision);
    return join(state, rest, `picked ${price}, the only one`);
  }
  const relation = cost <= otherCost ? 'over' : 'by draw, close to';
  return `${state}; picked ${price} ${relation} ${other.name} (cost ${otherCost.toFixed(1)})`;
}

function stateOf(node: NodeState, { consistency, nowMs }: Decision): string {
  if (consistency === 'session') return `${node.name} replayed ${formatLsn(node.lsn)}`;
  const lagMs = node.caughtUpAtMs === undefined ? node.lagMs : nowMs - node.caughtUpAtMs;
  return `${node.name} lags ${Math.max(0, Math.round(lagMs))} ms`;
}

/** Every replica that may not take it, with the test it failed. */
function obstacles(decision: Decision): string {
  const { snapshot, settings } = decision;
  const clauses: string[] = [];
  for (const node of snapshot.nodes.slice(0, MAX_CANDIDATES)) {
    if (node === snapshot.primary) continue;
    const obstacle = obstacleOf(node, decision, settings.maxReplicaLagMs);
    if (obstacle !== 'none') clauses.push(describeObstacle(node, decision, obstacle));
  }
  return clauses.join('; ');
}

function noRoom({ snapshot: { primary } }: Decision): string {
  const reads = primary?.load.fallbackRoom ?? 0;
  return `no replica eligible, and ${reads} reads already use half of the room on primary ${primary?.name ?? ''}: waiting`;
}

function fallback(decision: Decision): string {
  if (decision.settings.primaryReads === 'never')
    return 'no replica eligible, and primary_reads=never: waiting for one';
  return `no replica eligible: ${onPrimary(decision)}`;
}
