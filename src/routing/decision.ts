/**
 * The result of route(), and its reason as text, one clause per step of the decision: for `SHOW weir.last_route`,
 * `weir explain`, the debug log and tests. The text is made only when why() is called.
 */
import type { Consistency, PrimaryReads } from '../config/config.ts';
import { MAX_CANDIDATES } from '../balancing/node-set.ts';
import type { BalanceHosts } from '../balancing/policies.ts';
import { noCost } from '../balancing/types.ts';
import type { NodeState, TopologySnapshot } from '../topology/types.ts';
import { formatLsn } from '../util/lsn.ts';
import { describeObstacle, obstacleOf } from './eligible.ts';
import type { Route, RoutingFacts } from './types.ts';

export type { Turn } from '../balancing/types.ts';

export interface RouteSettings {
  readonly loadBalanceHosts: BalanceHosts;
  readonly maxReplicaLagMs: number;
  readonly primaryReads: PrimaryReads;
  /** Reads prefer its replicas; undefined: all are alike. */
  readonly zone?: string | undefined;
}

export type Verdict =
  | 'write'
  | 'forced to the primary'
  | 'strict'
  | 'no replicas configured'
  | 'balanced'
  | 'hash of the hint'
  | 'hash of the weir.key'
  | 'hash of the user'
  | 'no replica eligible'
  | 'no room to fall back';

/**
 * The node, and all that why() needs. Copies the facts instead of keeping them, because the session may change them
 * afterwards; one flat object, because every routed request makes one.
 */
export class Decision implements Route {
  readonly verdict: Verdict;
  node: NodeState | undefined;
  readonly plan: string;
  /** undefined: nothing forced the route. */
  readonly forcedBy: string | undefined;
  readonly consistency: Consistency;
  readonly needLsn: number | undefined;
  readonly avoid: string;
  readonly lastNode: string;
  readonly moveLsn: number | undefined;
  readonly nowMs: number;
  readonly snapshot: TopologySnapshot;
  readonly settings: RouteSettings;
  /** With a policy that compares costs: the cost of the node, the node it was compared with, and the cost of that. */
  cost = noCost;
  other: NodeState | undefined = undefined;
  otherCost = noCost;

  constructor(
    verdict: Verdict,
    node: NodeState | undefined,
    facts: RoutingFacts,
    snapshot: TopologySnapshot,
    settings: RouteSettings,
  ) {
    this.verdict = verdict;
    this.node = node;
    this.plan = facts.why;
    this.forcedBy = facts.forced === 'auto' ? undefined : facts.forcedBy;
    this.consistency = facts.consistency;
    this.needLsn = facts.needLsn;
    this.avoid = facts.avoid;
    this.lastNode = facts.lastNode;
    this.moveLsn = facts.moveLsn;
    this.nowMs = facts.nowMs;
    this.snapshot = snapshot;
    this.settings = settings;
  }

  get isFallback(): boolean {
    return this.verdict === 'no replica eligible';
  }

  /** A route that is forced to the primary has a verdict of its own. */
  get forced(): RoutingFacts['forced'] {
    if (this.verdict === 'forced to the primary') return 'primary';
    return this.forcedBy === undefined ? 'auto' : 'replica';
  }

  why(): string {
    return explain(this);
  }
}

function explain(decision: Decision): string {
  switch (decision.verdict) {
    case 'write':
      return join(decision.plan, forcedNotFollowed(decision), onPrimary(decision));
    case 'forced to the primary':
      return join(decision.plan, forced(decision), onPrimary(decision));
    case 'strict':
      return join(decision.plan, forcedNotFollowed(decision), 'consistency=strict', onPrimary(decision));
    case 'no replicas configured':
      return join(decision.plan, forcedNotFollowed(decision), 'no replicas configured', onPrimary(decision));
    case 'balanced':
    case 'hash of the hint':
    case 'hash of the weir.key':
    case 'hash of the user':
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

function forced({ forced: route, forcedBy }: Decision): string {
  return forcedBy === undefined ? '' : `route=${route} by ${forcedBy}`;
}

function forcedNotFollowed(decision: Decision): string {
  return decision.forcedBy === undefined ? '' : `${forced(decision)} not followed`;
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
  const position = node.role === 'primary' ? `${node.name} is the primary` : stateOf(node, decision);
  const state = join(position, zoneOf(node, settings));
  if (cost === noCost) {
    const how = decision.verdict === 'balanced' ? settings.loadBalanceHosts : decision.verdict;
    return `${state}; picked ${node.name} (${how})`;
  }
  const price = `${node.name} (cost ${cost.toFixed(1)})`;
  if (other === undefined) {
    const rest = obstacles(decision);
    return join(state, rest, `picked ${price}, the only one`);
  }
  const relation = cost <= otherCost ? 'over' : 'by draw, close to';
  return `${state}; picked ${price} ${relation} ${other.name} (cost ${otherCost.toFixed(1)})`;
}

function zoneOf({ config }: NodeState, { zone }: RouteSettings): string {
  if (zone === undefined) return '';
  return config.zone === zone ? `zone=${zone} preferred` : `no replica of zone ${zone} is eligible and has room`;
}

function stateOf(node: NodeState, { consistency, nowMs }: Decision): string {
  if (consistency === 'session') return `${node.name} replayed ${formatLsn(node.lsn)}`;
  const lagMs = node.caughtUpAtMs === undefined ? node.lagMs : nowMs - node.caughtUpAtMs;
  return `${node.name} lags ${Math.max(0, Math.round(lagMs))} ms`;
}

/** Every replica that may not answer the read, with the reason. */
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
