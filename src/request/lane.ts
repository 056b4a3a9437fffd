/**
 * Decides which reads may share a server with other clients (pool/lanes.ts), and cancels one of them without affecting
 * the others.
 */
import { TxStatus } from '../protocol/codes.ts';
import { errorResponse, readyForQuery } from '../protocol/write.ts';
import { WeirError } from '../errors/errors.ts';
import type { ServerConnection } from '../backend/server.ts';
import type { Pool } from '../pool/pool.ts';
import type { Session } from '../session/session.ts';
import { runAgain } from './run-again.ts';
import { countAnswer } from './count.ts';
import { leaveFlight } from './load.ts';
import { passesNames } from './prepared/names.ts';
import { settingsOf } from '../session/settings.ts';
import type { Statement } from '../session/statements.ts';
import type { Request } from '../session/request.ts';
import { statementFailed } from './statement-ends.ts';

/** A read shares a server only if its template is known to be faster than this. */
const shortBelowMs = 5;

/**
 * @returns true for a single plain SELECT outside of a transaction that is known to be fast, in a session without
 * state
 */
export function isShortRead(session: Session, request: Request): boolean {
  const plan = request.plans[0];
  // A Query within a batch is skipped if the batch fails, and then the server needs a Sync that only this client
  // sends.
  if (request.form.isSimple && request.form.shape !== 'Q') return false;
  if (
    plan === undefined ||
    request.plans.length !== 1 ||
    !plan.isPlainRead ||
    !request.isComplete ||
    !request.planned.isRead
  )
    return false;
  if (
    session.poolMode === 'session' ||
    session.status !== TxStatus.Idle ||
    session.state.isPinned ||
    request.target.attempts > 0
  )
    return false;
  // In a lane a batch cannot pause; it would if a statement that it prepares may have changed
  // (prepared/forward-all.ts).
  if (request.names.parsesNamed) return false;
  const baseline = session.services.baselines.peek(plan.facts);
  return baseline !== undefined && baseline.latencyMs < shortBelowMs;
}

/**
 * @returns true if the server already has what the request needs: its statement, custom settings, and the session's
 * settings. In a lane nothing can be replayed, and no batch may pause.
 */
export function isFit(session: Session, request: Request, server: ServerConnection): boolean {
  if (request.names.uses !== undefined && !isThere(session, request, request.names.uses, server)) return false;
  if (!session.concerns.customSettings.isReady(server, request)) return false;
  const settings = settingsOf(server);
  return settings === session.state.settings || settings.key === session.state.settings.key;
}

function isThere(session: Session, request: Request, { serverName }: Statement, server: ServerConnection): boolean {
  // A read's Bind of the unnamed statement does not wait for the server to describe it.
  if (serverName === '') return !request.form.shape.includes('S');
  return server.prepared.has(serverName) || passesNames(session);
}

/** @returns a server to which the request can be sent without waiting; undefined: none */
export function serverAtOnce(session: Session, request: Request, pool: Pool): ServerConnection | undefined {
  const own = session.concerns.sequences.takeServer(request, pool);
  if (own !== undefined) return own;
  const fits = (server: ServerConnection): boolean => isFit(session, request, server);
  if (!request.target.isShort) return pool.tryCheckout(fits);
  return pool.tryJoin(fits) ?? pool.tryCheckout(fits) ?? pool.tryShare(fits);
}

/**
 * A CancelRequest would cancel whatever the server runs when it arrives. So if the server runs this client's
 * statement, the connection is closed: that stops the statement, and the other clients' reads, which have no answer
 * yet, run again elsewhere. Otherwise the client leaves the lane without affecting the others.
 */
export function cancelInLane(session: Session, server: ServerConnection): void {
  const isItsTurn = server.head === session.receiver;
  if (!isItsTurn) session.leaveLane();
  for (let request = session.inFlight.shift(); request !== undefined; request = session.inFlight.shift()) {
    request.cache.flight?.abandon();
    request.attempt.failed();
    // The client does not get the ParseComplete.
    if (request.state !== 'shown')
      for (const [name, statement] of request.attempt.entered ?? []) session.prepared.forget(name, statement);
    leaveFlight(session, request, 'given up');
    const error = new WeirError('query_canceled');
    statementFailed(session, request, error.sqlstate);
    session.say(errorResponse(error));
    session.say(readyForQuery('I'));
    countAnswer(session, request);
  }
  if (isItsTurn) {
    session.forgetServer();
    void session.database.cancel(server);
    server.destroy('a statement in its lane was cancelled');
  }
  session.becameQuiet();
}

/** Another client's request ahead in the lane takes too long: this session's read runs elsewhere. */
export function leaveSlowLane(session: Session, why: string): void {
  const request = session.inFlight.peek();
  if (request?.state !== 'running' || session.inFlight.length > 1 || request.messages === undefined) return;
  session.leaveLane();
  session.inFlight.shift();
  leaveFlight(session, request, 'runs again');
  request.target.retryWhy = why;
  runAgain(session, [request]);
}
