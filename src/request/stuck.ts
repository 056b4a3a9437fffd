/**
 * Recognizes sessions and servers that would never go on by themselves, as far as their state shows. One look may be
 * wrong: app/watchdog.ts repeats it and acts. Changes nothing.
 */
import type { ServerConnection } from '../backend/server.ts';
import { shownState } from '../backend/server-state.ts';
import type { ClientSession } from './client.ts';
import type { StuckKind } from '../session/types.ts';

export interface Suspicion {
  readonly kind: StuckKind;
  /** What it is about: if the next look finds another object, there was progress. */
  readonly of: object;
  /** The state may be a wait for a server or its set-up, which has its own timeout. */
  readonly mayWait: boolean;
}

export function suspicionOfSession(session: ClientSession): Suspicion | undefined {
  if (session.isClosed) return undefined;
  if (session.inFlight.length > 0) return ofInFlight(session) ?? ofSockets(session);
  if (session.isReady) return ofSockets(session);
  const of = session.intake.first ?? session;
  const isAwaited = session.wait !== undefined || isBusy(session.server);
  return { kind: isAwaited ? 'client_waiting' : 'client_asleep', of, mayWait: true };
}

function isBusy(server: ServerConnection | undefined): boolean {
  return server?.isAlive === true && !server.isQuiet;
}

/** Statements that were sent and will not be answered. How long a server takes for one does not matter. */
function ofInFlight(session: ClientSession): Suspicion | undefined {
  const { server, inFlight } = session;
  const of = inFlight.peek() as object;
  if (server?.isAlive === true) {
    // A batch without its Sync waits for its client, provided that the client is being read.
    if (!server.isQuiet || (session.isReady && inFlight.last()?.isComplete !== true)) return undefined;
  }
  return { kind: 'answer_lost', of, mayWait: false };
}

/** A socket that is not read although the output to the other side is not full. */
function ofSockets(session: ClientSession): Suspicion | undefined {
  const { server, wire, timeSlice } = session;
  if (session.isReady && !timeSlice.isOver && wire.isPaused && !wire.willDrain && server?.wire.willDrain !== true)
    return { kind: 'client_paused', of: session, mayWait: false };
  if (server?.wire.isPaused === true && !wire.willDrain && (server.head ?? session.receiver) === session.receiver)
    return { kind: 'server_paused', of: session, mayWait: false };
  return undefined;
}

/** @param isHeld a session has the server */
export function suspicionOfServer(server: ServerConnection, isHeld: boolean): Suspicion | undefined {
  const { isQuiet, sharers } = server;
  const state = shownState(server.state);
  if (state === 'idle') {
    return isQuiet && sharers === 0 ? undefined : { kind: 'server_owes_nobody', of: server, mayWait: false };
  }
  if (state !== 'active' || isHeld) return undefined;
  if (isQuiet) return { kind: 'server_unheld', of: server, mayWait: false };
  // Weir runs a query of its own; or a client has left its lane, and the answer will be dropped.
  return sharers > 0 ? undefined : { kind: 'server_owes_nobody', of: server, mayWait: true };
}

/** @returns the whole state, for one line of the log */
export function describeSession(session: ClientSession, nowMs: number): object {
  const { server, wire, inFlight, intake, identity, database } = session;
  const request = inFlight.peek() ?? intake.first;
  return {
    client: identity.id,
    database: database.name,
    user: session.user,
    phase: session.phase,
    status: String.fromCharCode(session.status),
    inFlight: inFlight.length,
    isPausedForServer: session.isPaused,
    pins: [...session.state.pins],
    clientSocket: { isPaused: wire.isPaused, isFull: wire.isFull, willDrain: wire.willDrain },
    statement: request && {
      why: request.planned.why,
      node: request.target.node?.name,
      attempts: request.target.attempts,
      isComplete: request.isComplete,
      state: request.state,
      messages: request.messages?.length,
      waitedMs: Math.round(nowMs - request.receivedAtMs),
      sentMs: request.attempt.sentAtMs === 0 ? undefined : Math.round(nowMs - request.attempt.sentAtMs),
    },
    server: server && describeServer(server, nowMs),
  };
}

export function describeServer(server: ServerConnection, nowMs: number): object {
  const { id, node, processId, isAlive, isQuiet, sharers, wire } = server;
  const { isInBatch, isInCopy, isUnsure } = server.answers;
  return {
    id,
    node: node.name,
    processId,
    ...{ state: shownState(server.state), isAlive, isQuiet, isInBatch, isInCopy, isUnsure, sharers },
    isOwed: server.head !== undefined,
    isBeingCancelled: server.cancelling !== undefined,
    socket: { isPaused: wire.isPaused, isFull: wire.isFull, willDrain: wire.willDrain },
    requestMs: Math.round(nowMs - server.requestAtMs),
    connectedMs: Math.round(nowMs - server.connectedAtMs),
  };
}
