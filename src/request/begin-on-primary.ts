/**
 * A READ ONLY transaction begins on a replica, which allows less than the primary and answers some statements
 * differently: a sequence may be ahead, an advisory lock excludes no session on the primary. While the transaction has
 * done nothing but BEGIN, it begins again on the primary for such a statement, without the client noticing. Called by
 * handle-request.ts and run-again.ts.
 */
import type { Plan } from '../binding/plan.ts';
import type { Session } from '../session/session.ts';
import type { Request } from '../session/request.ts';

/** @returns true if the open transaction can still begin again on another server */
export function mayBeginOnPrimary(session: Session): boolean {
  if (!session.concerns.opening.isAll || session.serverNode?.role !== 'replica') return false;
  return !session.state.isPinned && session.poolMode !== 'session' && session.concerns.preferences.route !== 'replica';
}

/**
 * @returns true if the request is the first after such a BEGIN on a replica, and the primary might answer it
 * differently
 */
export function mustBeginOnPrimary(session: Session, request: Request): boolean {
  if (!session.concerns.opening.isAll || request.planned.isRead || !mayBeginOnPrimary(session)) return false;
  if (request.hints?.route === 'replica') return false;
  // Without a plan it may be any statement.
  if (request.plans.length === 0) return request.form.executes;
  return request.plans.some((plan) => !plan.isAlikeOnStandby);
}

/** @returns true if the plan has a COMMIT or ROLLBACK */
export function mayEnd({ facts }: Plan): boolean {
  return facts.statements.some(({ transaction }) => transaction === 'commit' || transaction === 'rollback');
}

/** Ends the transaction on the replica. The caller finds the next server, where the transaction begins again. */
export function beginOnPrimary(session: Session, request: Request, why: string): void {
  session.concerns.opening.leave();
  session.concerns.writes.beginsAgain();
  request.target.isRefused = true;
  request.target.retryWhy = why;
  session.releaseAfter('ROLLBACK');
}
