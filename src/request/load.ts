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
  unit.fallback = primary.load;
  primary.load.fallbackReads++;
}

/** It is on its way to its node. */
export function enterFlight(session: Session, unit: Unit): void {
  unit.outstandingOn = unit.node?.load;
  if (unit.outstandingOn !== undefined) unit.outstandingOn.outstanding++;
  unit.keptBytes = unit.attempt.held === undefined ? 0 : unit.bytes;
  session.keptBytes += unit.keptBytes;
}

/** It is answered, or never will be; `event` says which. */
export function leaveFlight(session: Session, unit: Unit, event: RequestEvent): void {
  giveRoom(session, unit);
  session.move(unit, event);
  if (unit.outstandingOn !== undefined) unit.outstandingOn.outstanding--;
  unit.outstandingOn = undefined;
  session.keptBytes -= unit.keptBytes;
  unit.keptBytes = 0;
}

/** Somebody else may fall back in its place. */
export function giveRoom(session: Session, unit: Unit): void {
  const load = unit.fallback;
  if (load === undefined) return;
  unit.fallback = undefined;
  load.fallbackReads--;
  session.database.roomLeft();
}
