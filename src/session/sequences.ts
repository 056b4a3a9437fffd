/**
 * currval() and lastval() answer for the session that has advanced a sequence. Nearly no session asks, so none is pinned
 * for it until it does: then it keeps the server on which it next advances one. The first time it goes to where it has
 * last advanced one, if nobody else has been there since; and no server answers with what another session has left.
 */
import type { ServerConnection } from '../backend/server.ts';
import type { Pool } from '../pool/pool.ts';
import type { ClientSession } from './client.ts';
import type { Unit } from './unit.ts';

/** The answers to a unit are complete, with or without an error: no rollback gives a value back. */
export function noteAdvanced(session: ClientSession, unit: Unit): void {
  const { server } = session;
  if (unit.asksByName) session.asksSequences = true;
  if (!unit.mayAdvanceSequences || server === undefined) return;
  server.sequencesOf = session;
  session.sequencesOn = server;
  if (session.asksSequences && session.poolMode === 'transaction') session.state.pin('sequence');
}

/** The server that can answer `unit`. */
function ownServer(session: ClientSession, unit: Unit): ServerConnection | undefined {
  const server = session.sequencesOn;
  return unit.asksSequences && server?.sequencesOf === session ? server : undefined;
}

/** The server that can answer `unit`, if it is idle. */
export function serverWithSequences(session: ClientSession, unit: Unit, pool: Pool): ServerConnection | undefined {
  const server = ownServer(session, unit);
  return server === undefined ? undefined : pool.tryTake(server);
}

/** Waits if that server is just being reset behind what has advanced the sequence. */
export function awaitsReset(session: ClientSession, unit: Unit, again: () => void): boolean {
  const reset = ownServer(session, unit)?.reset;
  if (reset === undefined) return false;
  session.waiting();
  void reset.then(() => session.goOn(again));
  return true;
}

/** The session is over: nobody will ask for what it has advanced. */
export function leaveSequences(session: ClientSession, server: ServerConnection): void {
  if (server.sequencesOf === session) server.sequencesOf = undefined;
}

/** Would the server answer `unit` with another session's values? */
export function hasForeignSequences(session: ClientSession, unit: Unit, server: ServerConnection): boolean {
  if (!unit.asksSequences && !session.asksSequences) return false;
  return server.sequencesOf !== undefined && server.sequencesOf !== session;
}
