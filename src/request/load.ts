/**
 * Counts a request while it is in progress: in the load of its node, among the reads that fell back to the primary,
 * and in the bytes that its session keeps. However the request ends, each count is decremented exactly once.
 */
import type { NodeState } from '../topology/types.ts';
import type { RequestEvent } from '../session/request-state.ts';
import type { Session } from '../session/session.ts';
import type { Request } from '../session/request.ts';

/**
 * A read goes to the primary because no replica can take it. The number of such reads is limited; a waiting one
 * counts, too.
 */
export function fellBack(session: Session, request: Request, primary: NodeState): void {
  giveRoom(session, request);
  request.target.fallback = primary.load;
  primary.load.fallbackReads++;
}

/** A read goes to a replica whose circuit is half-open: few may at the same time, and one that waits there counts, too. */
export function isTrial(request: Request, replica: NodeState): void {
  request.target.trial = replica.load;
  replica.load.trials++;
}

/** Call when the request is about to be sent to its node. */
export function enterFlight(session: Session, request: Request): void {
  request.target.outstandingOn = request.target.node?.load;
  if (request.target.outstandingOn !== undefined) request.target.outstandingOn.outstanding++;
  request.target.keptBytes = request.attempt.held === undefined ? 0 : request.form.bytes;
  session.changeKeptBytes(request.target.keptBytes);
}

/** Call when the request was answered, or will not be; `event` says which. */
export function leaveFlight(session: Session, request: Request, event: RequestEvent): void {
  giveRoom(session, request);
  session.move(request, event);
  const load = request.target.outstandingOn;
  if (load !== undefined) {
    load.outstanding--;
    if (event === 'settled') load.answered++;
  }
  request.target.outstandingOn = undefined;
  session.changeKeptBytes(-request.target.keptBytes);
  request.target.keptBytes = 0;
}

/** The request no longer counts as a trial, nor as a read that fell back, so another one may use the primary. */
export function giveRoom(session: Session, request: Request): void {
  if (request.target.trial !== undefined) {
    request.target.trial.trials--;
    request.target.trial = undefined;
  }
  const load = request.target.fallback;
  if (load === undefined) return;
  request.target.fallback = undefined;
  load.fallbackReads--;
  session.database.roomLeft();
}
