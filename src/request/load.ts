/**
 * What a request counts for while it is under way: in its node's load, among the reads that fell back to the primary,
 * among the bytes that its session keeps. Each exactly once in and once out, whichever way the request ends.
 */
import type { NodeState } from '../topology/types.ts';
import type { RequestEvent } from '../session/request-state.ts';
import type { Session } from '../session/session.ts';
import type { Request } from '../session/request.ts';

/** A read was sent to the primary for want of a replica: it takes of what such reads may use, also while it waits. */
export function fellBack(session: Session, request: Request, primary: NodeState): void {
  giveRoom(session, request);
  request.target.fallback = primary.load;
  primary.load.fallbackReads++;
}

/** It is on its way to its node. */
export function enterFlight(session: Session, request: Request): void {
  request.target.outstandingOn = request.target.node?.load;
  if (request.target.outstandingOn !== undefined) request.target.outstandingOn.outstanding++;
  request.target.keptBytes = request.attempt.held === undefined ? 0 : request.form.bytes;
  session.changeKeptBytes(request.target.keptBytes);
}

/** It is answered, or never will be; `event` says which. */
export function leaveFlight(session: Session, request: Request, event: RequestEvent): void {
  giveRoom(session, request);
  session.move(request, event);
  if (request.target.outstandingOn !== undefined) request.target.outstandingOn.outstanding--;
  request.target.outstandingOn = undefined;
  session.changeKeptBytes(-request.target.keptBytes);
  request.target.keptBytes = 0;
}

/** Somebody else may fall back in its place. */
export function giveRoom(session: Session, request: Request): void {
  const load = request.target.fallback;
  if (load === undefined) return;
  request.target.fallback = undefined;
  load.fallbackReads--;
  session.database.roomLeft();
}
