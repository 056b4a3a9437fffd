/**
 * currval() and lastval() answer for the session that has advanced a sequence. Nearly no session asks, so none is pinned
 * for it until it does by name: then it keeps the server on which it next advances one. Before, it goes to where it has
 * last advanced one, if nothing else is known there; no server answers with what another session, or this one long ago,
 * has left. In a database in which somebody has asked, a server forgets what it knew before a session advances one there.
 */
import type { ServerConnection } from '../../backend/server.ts';
import type { Pool } from '../../pool/pool.ts';
import type { Outcome, Session } from '../session.ts';
import type { Unit } from '../unit.ts';

/** The answers to a unit are complete, with or without an error: no rollback gives a value back. */
export function noteAdvanced(session: Session, unit: Unit): void {
  const { server } = session;
  if (unit.asksByName) session.asksSequences = true;
  if (unit.asksSequences && isSureToAsk(unit)) session.database.hasAskedSequences = true;
  if (!unit.mayAdvanceSequences || server === undefined) return;
  const isAlone = server.sessionState.sequencesOf === undefined || isLatest(session, server);
  // Of several sessions, or old and new ones of the same.
  server.sessionState.sequencesOf = isAlone ? session : 'several';
  session.sequencesOn = server;
  session.hasAdvanced = true;
  if (session.asksSequences && session.poolMode === 'transaction') session.state.pin('sequence');
}

/** Behind DDL it is not known what asks. */
function isSureToAsk(unit: Unit): boolean {
  return unit.asksByName || unit.plans.some((plan) => plan.asksSequences && plan.catalog !== undefined);
}

/** All that the server knows was advanced by the session, and nothing elsewhere since. */
function isLatest(session: Session, server: ServerConnection): boolean {
  return server.sessionState.sequencesOf === session && session.sequencesOn === server;
}

/** The server that can answer `unit`. */
function ownServer(session: Session, unit: Unit): ServerConnection | undefined {
  const server = session.sequencesOn;
  return unit.asksSequences && server !== undefined && isLatest(session, server) ? server : undefined;
}

/** The server that can answer `unit`, if it is idle. */
export function serverWithSequences(session: Session, unit: Unit, pool: Pool): ServerConnection | undefined {
  const server = ownServer(session, unit);
  return server === undefined ? undefined : pool.tryTake(server);
}

/** Waits if that server is just being reset behind what has advanced the sequence, and then looks for a server anew. */
export function awaitsReset(session: Session, unit: Unit): Outcome | undefined {
  const reset = ownServer(session, unit)?.reset;
  if (reset === undefined) return undefined;
  return session.waitShortly('server reset', unit, (goOn) => void reset.then(() => goOn('find server')));
}

/** The session is over: nobody will ask for what it has advanced. */
export function leaveSequences(session: Session, server: ServerConnection): void {
  if (server.sessionState.sequencesOf === session) server.sessionState.sequencesOf = undefined;
}

/** Must the server forget what it knows before `unit`, which asks for the session's own values or brings them? */
export function hasForeignSequences(session: Session, unit: Unit, server: ServerConnection): boolean {
  if (server.sessionState.sequencesOf === undefined || isLatest(session, server)) return false;
  // What the open transaction has advanced must not be lost.
  if (session.hasAdvanced) return false;
  if (unit.asksSequences) return true;
  return unit.mayAdvanceSequences && (session.asksSequences || session.database.hasAskedSequences);
}
