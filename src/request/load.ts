/**
 * What a request counts for while it is under way: in its node's load, among the reads that fell back to the primary,
 * among the bytes that its session keeps. Each exactly once in and once out, whichever way the request ends.
 */
import type { NodeState } from '../topology/types.ts';
import type { RequestEvent } from '../session/request-state.ts';
import type { Session } from '../session/session.ts';
import type { Unit } from '../session/unit.ts';

/** A read was sent to the primary for want of a replica: it takes of what such reads may use, also while it waits. */
export function fellBack(session: Session, unit: Unit, primary: NodeState): void {
  giveRoom(session, unit);
  unit.target.fallback = primary.load;
  primary.load.fallbackReads++;
}

/** It is on its way to its node. */
export function enterFlight(session: Session, unit: Unit): void {
  unit.target.outstandingOn = unit.target.node?.load;
  if (unit.target.outstandingOn !== undefined) unit.target.outstandingOn.outstanding++;
  unit.target.keptBytes = unit.attempt.held === undefined ? 0 : unit.form.bytes;
  session.keptBytes += unit.target.keptBytes;
}

/** It is answered, or never will be; `event` says which. */
export function leaveFlight(session: Session, unit: Unit, event: RequestEvent): void {
  giveRoom(session, unit);
  session.move(unit, event);
  if (unit.target.outstandingOn !== undefined) unit.target.outstandingOn.outstanding--;
  unit.target.outstandingOn = undefined;
  session.keptBytes -= unit.target.keptBytes;
  unit.target.keptBytes = 0;
}

/** Somebody else may fall back in its place. */
export function giveRoom(session: Session, unit: Unit): void {
  const load = unit.target.fallback;
  if (load === undefined) return;
  unit.target.fallback = undefined;
  load.fallbackReads--;
  session.database.roomLeft();
}
