/**
 * Decides whether the transport failures of a node open its circuit, and tells what the others could do without it. Used by
 * assess.ts.
 */
import { eject, isEjected, noteAnswers, noteFailure, tooManyFailures } from './circuit.ts';
import type { NodeRecord } from './node-record.ts';
import type { NodeFailure, NodeState, TopologySnapshot } from './types.ts';

/** The nodes as of now. */
export interface Field {
  readonly records: readonly NodeRecord[];
  readonly snapshot: TopologySnapshot;
  readonly primaryIndex: number | undefined;
  /** Reads may go to the primary. */
  readonly primaryTakesReads: boolean;
}

/** @returns true if this failure ejected the node */
export function judgeFailure(
  field: Field,
  index: number,
  failure: { readonly kind: NodeFailure; readonly detail: string },
  nowMs: number,
): boolean {
  const record = field.records[index]!;
  const { circuit } = record;
  if (failure.kind === 'shutdown' || record.failure !== undefined) return false;
  noteAnswers(circuit, record.load, nowMs);
  noteFailure(circuit, nowMs);
  if (failure.kind !== 'lost') circuit.loginFailure = { atMs: nowMs, detail: failure.detail };
  // The primary is judged when its next probe is answered: if it is not, the node is down, and clients wait for a failover.
  if (index === field.primaryIndex || isEjected(circuit, nowMs)) return false;
  const why = tooManyFailures(circuit, nowMs);
  if (why === undefined || !canSpare(field, record, nowMs)) return false;
  eject(circuit, `${why} (${failure.detail})`, false, nowMs);
  return true;
}

/**
 * Others can take its reads: not more than half of several replicas are ejected, and not the last node that takes reads.
 */
function canSpare({ records, snapshot, primaryTakesReads }: Field, record: NodeRecord, nowMs: number): boolean {
  const { primary, replicas } = snapshot;
  const others = replicas.filter(({ name }) => name !== record.config.name);
  const isUsable = (node: NodeState): boolean => node.isUp && !node.isDraining && node.ejectedUntilMs <= nowMs;
  const hasPrimary = primaryTakesReads && primary !== undefined && isUsable(primary);
  if (!hasPrimary && !others.some(isUsable)) return false;
  const ejected = records.filter((other) => isEjected(other.circuit, nowMs)).length;
  return ejected + 1 <= Math.max(1, Math.floor((records.length - 1) / 2));
}

/**
 * The primary answers a probe that was sent after a log-in to it had failed. Only failed log-ins open its circuit: while they
 * succeed, a lost connection is replaced.
 * @returns true if it is ejected now
 */
export function judgePrimary({ circuit, load }: NodeRecord, sentAtMs: number, nowMs: number): boolean {
  const { loginFailure } = circuit;
  if (loginFailure === undefined || sentAtMs < loginFailure.atMs || isEjected(circuit, nowMs)) return false;
  noteAnswers(circuit, load, nowMs);
  const why = tooManyFailures(circuit, nowMs);
  if (why === undefined) return false;
  eject(circuit, `${why} (${loginFailure.detail}), although it answers probes`, true, nowMs);
  return true;
}
