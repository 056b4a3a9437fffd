/**
 * Which reads may share a server with other clients' (pool/lanes.ts), and how one of them is cancelled without touching
 * its neighbours.
 */
import { TxStatus } from '../protocol/codes.ts';
import { errorResponse, readyForQuery } from '../protocol/write.ts';
import { WeirError } from '../errors.ts';
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

/** A read shares a server only if its template is known to be faster than this. */
const shortBelowMs = 5;

/** A single plain SELECT outside of any transaction, which is known to be quick, of a session without state. */
export function isShortRead(session: Session, request: Request): boolean {
  const plan = request.plans[0];
  // A Query in a batch without Sync is skipped with it if it fails, and then owes its neighbours a Sync.
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
  // In a lane a batch cannot pause, which it does if a statement that it prepares may have changed (prepared/forward-all.ts).
  if (request.names.parsesNamed) return false;
  const baseline = session.services.baselines.peek(plan.facts);
  return baseline !== undefined && baseline.latencyMs < shortBelowMs;
}

/** Does the server look like this session already? In a lane nothing can be replayed, and no batch may pause. */
export function isFit(session: Session, request: Request, server: ServerConnection): boolean {
  if (request.names.uses !== undefined && !isThere(session, request, request.names.uses, server)) return false;
  if (!session.concerns.customSettings.isReady(server, request)) return false;
  const settings = settingsOf(server);
  return settings === session.state.settings || settings.key === session.state.settings.key;
}

function isThere(session: Session, request: Request, { serverName }: Statement, server: ServerConnection): boolean {
  // A read's Bind of the unnamed statement does not wait for what a server makes of that.
  if (serverName === '') return !request.form.shape.includes('S');
  return server.prepared.has(serverName) || passesNames(session);
}

/** A server that the request can be sent to without waiting, if there is one. */
export function serverAtOnce(session: Session, request: Request, pool: Pool): ServerConnection | undefined {
  const own = session.concerns.sequences.takeServer(request, pool);
  if (own !== undefined) return own;
  const fits = (server: ServerConnection): boolean => isFit(session, request, server);
  if (!request.target.isShort) return pool.tryCheckout(fits);
  return pool.tryJoin(fits) ?? pool.tryCheckout(fits) ?? pool.tryShare(fits);
}

/**
 * A CancelRequest would hit whatever the server runs when it arrives. So if it is the client's turn, the server is given
 * up: the statement is stopped with it, and its neighbours, of whose answers nothing has come, run again elsewhere.
 * Otherwise the client leaves, and its neighbours notice nothing.
 */
export function cancelInLane(session: Session, server: ServerConnection): void {
  const isItsTurn = server.head === session.receiver;
  if (!isItsTurn) session.leaveLane();
  for (let request = session.inFlight.shift(); request !== undefined; request = session.inFlight.shift()) {
    request.cache.flight?.abandon();
    request.attempt.failed();
    // The client will never hear that its Parse went well.
    if (request.state !== 'shown')
      for (const [name, statement] of request.attempt.entered ?? []) session.prepared.forget(name, statement);
    leaveFlight(session, request, 'given up');
    session.say(errorResponse(new WeirError('query_canceled')));
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

/** A request of another client, ahead in the lane, takes too long: the read of this session runs elsewhere. */
export function leaveSlowLane(session: Session, why: string): void {
  const request = session.inFlight.peek();
  if (request?.state !== 'running' || session.inFlight.length > 1 || request.messages === undefined) return;
  session.leaveLane();
  session.inFlight.shift();
  leaveFlight(session, request, 'runs again');
  request.target.retryWhy = why;
  runAgain(session, [request]);
}
