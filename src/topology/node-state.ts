/**
 * Builds the public NodeState of one node: its role, whether it takes work and if not why, and what an operator should
 * know of it. Made from the node's record (node-record.ts) and the result of the election. Called by assess.ts for
 * each snapshot.
 */
import type { Incumbent } from './elect.ts';
import { follow, isEjected, noteAnswers } from './circuit.ts';
import { cameUp, isAnswerExpected, isLoginExpected, slowStartAt, wasShortlyAway, wentDown } from './node-record.ts';
import type { NodeRecord } from './node-record.ts';
import { NO_LOGIN } from './server-connector.ts';
import type { NodeRole, NodeState } from './types.ts';

/** The result of the election, and the primary's position. */
export interface Office {
  readonly winner: number | undefined;
  readonly incumbent: Incumbent | undefined;
  readonly refusals: ReadonlyMap<number, string>;
  /** The present by the time that lag is measured against (monotonic ms); see Assessor. */
  readonly lagTimeMs: number;
  readonly newestLsn: number;
  /** A node may still answer that is to be the first primary. */
  readonly isElectionOpen: boolean;
  /** The lag of replicas is measured anew since a moment ago. */
  readonly isLagUnproven: boolean;
  /** routing.slow_start */
  readonly slowStartMs: number;
}

/** Builds the state. Also updates the record when the node came up or went down, and its circuit. */
export function nodeState(record: NodeRecord, index: number, office: Office, nowMs: number): NodeState {
  const role = roleOf(record, index, office);
  const obstacle = obstacleOf(record, index, role, office);
  const isUp = obstacle === undefined;
  followCircuit(record, role, isUp, isUnheard(record, office, nowMs), nowMs);
  if (isUp !== record.isUp) (isUp ? cameUp : wentDown)(record, nowMs);
  const isPrimary = role === 'primary';
  const lagMs = isPrimary ? 0 : office.lagTimeMs - record.caughtUpAtMs;
  return {
    config: record.config,
    name: record.config.name,
    role,
    isUp,
    isDraining: record.isDraining,
    ejectedUntilMs: isEjected(record.circuit, nowMs) ? record.circuit.untilMs : 0,
    circuit: record.circuit.state,
    circuitSinceMs: record.circuit.sinceMs,
    circuitWhy: record.circuit.why,
    lsn: record.lsn,
    lagMs,
    lagBytes: isPrimary ? 0 : record.lsn > 0 ? Math.max(0, office.newestLsn - record.lsn) : Infinity,
    caughtUpAtMs: isPrimary ? nowMs : nowMs - lagMs,
    isLagging: !isPrimary && record.isLagging,
    isCatchingUp: !isPrimary && record.catchUpTick !== undefined,
    ...(record.timeline === undefined ? {} : { timeline: record.timeline }),
    isUnheard: isUnheard(record, office, nowMs),
    isLagUnproven: !isPrimary && office.isLagUnproven,
    slowStart: isPrimary ? 1 : slowStartAt(record, office.slowStartMs, nowMs),
    problem: obstacle ?? remarkOn(record, role, nowMs),
    connectionLimit: record.identity?.connectionLimit ?? 0,
    serverVersion: record.identity?.serverVersion,
    ...(record.identity?.serverId === undefined ? {} : { serverId: record.identity.serverId }),
    ...(record.identity?.systemId === undefined ? {} : { systemId: record.identity.systemId }),
    load: record.load,
  };
}

function followCircuit(record: NodeRecord, role: NodeRole, isUp: boolean, isUnheard: boolean, nowMs: number): void {
  const { circuit, failure, isSilent } = record;
  noteAnswers(circuit, record.load, nowMs);
  // A monitor without a log-in knows nothing of what the servers do for clients.
  if (isUnheard || failure?.problem === NO_LOGIN) return;
  const problem = failure?.problem ?? (isSilent ? 'does not answer probes' : undefined);
  const wasShort = wasShortlyAway(record, nowMs);
  follow(circuit, { isPrimary: role === 'primary', isUp, failure: problem, isSilent, wasShort }, nowMs);
}

function isUnheard(record: NodeRecord, office: Office, nowMs: number): boolean {
  if (isAnswerExpected(record, nowMs) || isLoginExpected(record, nowMs)) return true;
  return office.isElectionOpen && record.failure === undefined;
}

function roleOf(record: NodeRecord, index: number, office: Office): NodeRole {
  if (index === office.winner) return 'primary';
  if (record.sample?.isInRecovery === true) return 'replica';
  // The elected primary while it does not answer keeps its role: sessions wait for it or its successor.
  return index === office.incumbent?.index && record.sample === undefined ? 'primary' : 'unknown';
}

/** Why the node takes no work at all; undefined: it is up. */
function obstacleOf(record: NodeRecord, index: number, role: NodeRole, office: Office): string | undefined {
  const { sample, failure } = record;
  if (failure !== undefined) return failure.problem;
  if (sample === undefined) return 'not heard of yet';
  if (record.isSilent) return 'does not answer probes';
  if (role === 'primary') return undefined;
  if (role === 'unknown')
    return office.refusals.get(index) ?? 'claims to be a primary, but is not the primary in office';
  const { incumbent } = office;
  if (incumbent === undefined) return 'no primary is known';
  const { systemId } = record.identity ?? {};
  if (systemId !== undefined && incumbent.systemId !== undefined && systemId !== incumbent.systemId) {
    return `belongs to another cluster (system identifier ${systemId}, not ${incumbent.systemId})`;
  }
  if (record.identity?.hasNoWal === true) return record.identity.limitation;
  if (record.timeline === undefined) return 'its timeline is not known';
  if (incumbent.timeline !== undefined && record.timeline !== incumbent.timeline) {
    const where = `is on timeline ${record.timeline}, the primary is on ${incumbent.timeline}`;
    if (record.timeline > incumbent.timeline) return where;
    const advice = record.identity?.seesWalReceiver
      ? ''
      : " (grant pg_monitor to the monitor's user to see it at once)";
    return `${where}: not proven to follow it${advice}`;
  }
  return undefined;
}

/** What SHOW NODES says of a node that is up; undefined: nothing. */
function remarkOn(record: NodeRecord, role: NodeRole, nowMs: number): string | undefined {
  if (isEjected(record.circuit, nowMs)) return `ejected: ${record.circuit.why}`;
  if (role === 'replica') {
    if (record.lsn === 0) return 'has replayed nothing yet';
    if (record.caughtUpAtMs === -Infinity) return 'how far it lags is not known yet';
    if (record.isLagging) return 'lags more than max_replica_lag';
    if (record.catchUpTick !== undefined) return 'came back and is not yet known to be as far as it was';
  }
  return record.identity?.limitation;
}
