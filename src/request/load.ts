/**
 * Counts a request while it is under way: in the load of its node, among the reads that fell back to the primary, and among the
 * bytes that its session keeps. Whichever way the request ends, it is added to each once and taken away once.
 */
import type { NodeState } from '../topology/types.ts';
import type { RequestEvent } from '../session/request-state.ts';
import type { Session } from '../session/session.ts';
import type { Request } from '../session/request.ts';

/** A read goes to the primary for want of a replica. It counts among such reads, whose number is limited, also while it waits. */
export function fellBack(session: Session, request: Request, primary: NodeState): void {
  giveRoom(session, request);
  request.target.fallback = primary.load;
  primary.load.fallbackReads++;
}

/** It is about to be sent to its node. */
export function enterFlight(session: Session, request: Request): void {
  request.target.outstandingOn = request.target.node?.load;
  if (request.target.outstandingOn !== undefined) request.target.outstandingOn.outstanding++;
  request.target.keptBytes = request.attempt.held === undefined ? 0 : request.form.bytes;
  session.changeKeptBytes(request.target.keptBytes);
}

/** It was answered, or never will be; `event` says which. */
export function leaveFlight(session: Session, request: Request, event: RequestEvent): void {
  giveRoom(session, request);
  session.move(request, event);
  if (request.target.outstandingOn !== undefined) request.target.outstandingOn.outstanding--;
  request.target.outstandingOn = undefined;
  session.changeKeptBytes(-request.target.keptBytes);
  request.target.keptBytes = 0;
}

/** It no longer counts among the reads that fell back: another one may take its place. */
export function giveRoom(session: Session, request: Request): void {
  const load = request.target.fallback;
  if (load === undefined) return;
  request.target.fallback = undefined;
  load.fallbackReads--;
  session.database.roomLeft();
}
