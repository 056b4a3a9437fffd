/**
 * A READ ONLY transaction begins on a replica, where less is allowed than in one on the primary, and some things mean something
 * else: a sequence is ahead, an advisory lock locks nobody out. As long as nothing has happened in it but its BEGIN, it
 * begins again on the primary for such a statement, and nobody can tell. Called by handle-request.ts and run-again.ts.
 */
import type { Plan } from '../binding/plan.ts';
import type { Session } from '../session/session.ts';
import type { Request } from '../session/request.ts';

/** Can the open transaction still begin again elsewhere, as far as its server is concerned? */
export function mayBeginOnPrimary(session: Session): boolean {
  if (!session.concerns.opening.isAll || session.serverNode?.role !== 'replica') return false;
  return !session.state.isPinned && session.poolMode !== 'session' && session.concerns.preferences.route !== 'replica';
}

/** Is the request the first one behind such a BEGIN on a replica, and could the primary answer it differently? */
export function mustBeginOnPrimary(session: Session, request: Request): boolean {
  if (!session.concerns.opening.isAll || request.planned.isRead || !mayBeginOnPrimary(session)) return false;
  if (request.hints?.route === 'replica') return false;
  // It executes something of which there is no plan: it may be anything.
  if (request.plans.length === 0) return request.form.executes;
  return request.plans.some((plan) => !plan.isAlikeOnStandby);
}

/** Has the plan a COMMIT or ROLLBACK in it? */
export function mayEnd({ facts }: Plan): boolean {
  return facts.statements.some(({ transaction }) => transaction === 'commit' || transaction === 'rollback');
}

/** Ends the transaction on the replica. The session's next server, which the caller finds, is told to begin it again. */
export function beginOnPrimary(session: Session, request: Request, why: string): void {
  session.concerns.opening.leave();
  session.concerns.writes.beginsAgain();
  request.target.isRefused = true;
  request.target.retryWhy = why;
  session.releaseAfter('ROLLBACK');
}
