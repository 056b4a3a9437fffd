/**
 * A READ ONLY transaction begins on a replica, where less is allowed than in one on the primary, and some things mean something
 * else: a sequence is ahead, an advisory lock locks nobody out. As long as nothing has happened in it but its BEGIN, it
 * begins again on the primary for such a statement, and nobody can tell. Called by handle-request.ts, run-again.ts and settle.ts.
 */
import { TxStatus } from '../protocol/codes.ts';
import type { Plan } from '../binding/plan.ts';
import type { Session } from '../session/session.ts';
import type { Unit } from '../session/unit.ts';

/** Is about to be sent. The text of a BEGIN READ ONLY that is all of the unit is kept, without its comments. */
export function noteOpening(session: Session, unit: Unit): void {
  const plan = unit.plans[0];
  if (plan?.beginsReadOnly !== true || unit.plans.length !== 1) return;
  // In an open transaction, or in one that what is in flight leaves open, BEGIN begins nothing.
  const isFirst = session.inFlight.length === 0 && session.status === TxStatus.Idle;
  session.opening = isFirst && unit.hints?.route !== 'replica' ? plan.facts.template : undefined;
}

/** The unit was answered. Behind one that only prepares, only describes or has no statement, the transaction has still done nothing. */
export function noteOpened(session: Session, unit: Unit, status: number): void {
  if (session.opening === undefined) return;
  const isNothing = (!unit.executes && !unit.binds) || (unit.plans.length > 0 && unit.plans.every(isEmpty));
  if (status !== TxStatus.InTransaction || !(isNothing || isOpening(session, unit))) session.opening = undefined;
}

function isEmpty({ facts }: Plan): boolean {
  return facts.statements.every(({ kind }) => kind === 'empty');
}

/** Is it the BEGIN itself? */
function isOpening(session: Session, { plans }: Unit): boolean {
  return session.status === TxStatus.Idle && plans.length === 1 && plans[0]?.beginsReadOnly === true;
}

/** Can the open transaction still begin again elsewhere, as far as its server is concerned? */
export function mayBeginOnPrimary(session: Session): boolean {
  if (session.opening === undefined || session.serverNode?.role !== 'replica') return false;
  return !session.state.isPinned && session.poolMode !== 'session' && session.preferences.route !== 'replica';
}

/** Is the unit the first one behind such a BEGIN on a replica, and may be answered otherwise than on the primary? */
export function mustBeginOnPrimary(session: Session, unit: Unit): boolean {
  if (session.opening === undefined || unit.isRead || !mayBeginOnPrimary(session)) return false;
  if (unit.hints?.route === 'replica') return false;
  // Without a plan nobody knows what it executes.
  if (unit.plans.length === 0) return unit.executes;
  return unit.plans.some((plan) => !plan.isAlikeOnStandby);
}

/** Does it end the transaction that it is in, should it get that far? */
export function mayEnd({ facts }: Plan): boolean {
  return facts.statements.some(({ transaction }) => transaction === 'commit' || transaction === 'rollback');
}

/** Ends the transaction on the replica. The session's next server, which the caller finds, is told to begin it again. */
export function beginOnPrimary(session: Session, unit: Unit, why: string): void {
  session.reopening = session.opening;
  session.opening = undefined;
  session.transaction = 'block';
  unit.isRefused = true;
  unit.retryWhy = why;
  session.releaseAfter('ROLLBACK');
}
