/**
 * The steps of a request: answer it locally or refuse it, look it up in the cache, choose a node, get a server, bring
 * the server to the session's settings, send. receiver.ts handles the answers. Each step returns the next one, or that
 * the request waits; whatever ends the wait says where it goes on (Session.waitFor).
 */
import { TxStatus } from '../protocol/codes.ts';
import { errorResponse } from '../protocol/write.ts';
import { WeirError } from '../errors/errors.ts';
import type { ServerConnection } from '../backend/server.ts';
import { answered } from './answered.ts';
import { mayBeKept } from './run-again.ts';
import { awaitsVisible, isAhead } from './await-visible.ts';
import { awaitsPeers, mustBeAnnounced } from './await-peers.ts';
import { findServer } from './steps/find-server.ts';
import { cacheObstacle } from './cacheable.ts';
import { beginOnPrimary, mayEnd, mayBeginOnPrimary, mustBeginOnPrimary } from './begin-on-primary.ts';
import { isFit } from './lane.ts';
import { answerLocally } from './steps/answer-locally.ts';
import { lookUp } from './steps/look-up.ts';
import { forwardAll } from './prepared/forward-all.ts';
import { refuse } from './refuse.ts';
import { preparesAtOnce } from './steps/answer-parse.ts';
import { prepareNewServer, prepareOwnServer } from './steps/prepare-server.ts';
import type { Outcome, Session, Step } from '../session/session.ts';
import { beginRequest } from './settle.ts';
import type { Request } from '../session/request.ts';
import { statementFailed } from './statement-ends.ts';

/** Maximum number of requests of one client in flight; the next one waits until all of these are answered. */
const maxInFlight = 1_000;

const steps: Readonly<Record<Step, (session: Session, request: Request) => Outcome>> = {
  'find server': findServer,
  'prepare new server': prepareNewServer,
  'prepare own server': prepareOwnServer,
  send,
};

/** Takes the request through its steps until it waits, or is sent or answered. */
export function advance(session: Session, request: Request, from: Outcome): void {
  let next = from;
  while (next !== 'waits' && next !== 'done') next = steps[next](session, request);
}

/** A request has come. */
export function handleRequest(session: Session, request: Request): void {
  advance(session, request, arrived(session, request));
}

/**
 * The same when all requests in flight are answered. Only then it is known whether the client is in a transaction.
 * @param check why the request is refused; undefined: it is not
 */
export function handleIfAllowed(session: Session, request: Request, check: () => WeirError | undefined): void {
  const goOn = (): Outcome => {
    const error = check();
    return error === undefined ? arrived(session, request) : refuse(session, request, error);
  };
  advance(session, request, whenQuiet(session, request, goOn));
}

function arrived(session: Session, request: Request): Outcome {
  if (request.form.locals > 0) return whenQuiet(session, request, sayLocally);
  if (session.poolMode === 'statement' && request.planned.begins) return whenQuiet(session, request, refuseTransaction);
  if (session.inFlight.length > 0) {
    const mayJoin = session.inFlight.length < maxInFlight && mayPipeline(session, request);
    return mayJoin ? 'send' : whenQuiet(session, request, arrived);
  }
  if (session.server !== undefined) {
    request.cache.why = 'the session keeps its server';
    if (!mustBeginOnPrimary(session, request)) return 'prepare own server';
    beginOnPrimary(session, request, 'a replica may answer otherwise in a READ ONLY transaction');
    return 'find server';
  }
  if (preparesAtOnce(session, request)) return 'done';
  request.cache.why = cacheObstacle(session, request);
  return request.cache.why === '' ? lookUp(session, request) : 'find server';
}

function whenQuiet(session: Session, request: Request, step: (session: Session, request: Request) => Outcome): Outcome {
  if (session.inFlight.length === 0) return step(session, request);
  session.whenQuiet(() => session.advance(request, step(session, request)));
  return 'waits';
}

function refuseTransaction(session: Session, request: Request): Outcome {
  return refuse(
    session,
    request,
    new WeirError('not_in_pool_mode', { what: 'a transaction block', mode: 'statement' }),
  );
}

/**
 * Closes the lane on the way, unless the request is ruled out before.
 * @returns true if the request may be sent behind those in flight on the session's server
 */
function mayPipeline(session: Session, request: Request): boolean {
  if (session.inFlight.peek()?.state === 'passed over') return false;
  if (mustBeginOnPrimary(session, request) || isAhead(session, request)) return false;
  // In a lane, a session must not send anything that could affect the others.
  if (session.server !== undefined && session.server.sharers > 1) return false;
  if (session.prepared.hasNamesInFlight && (request.names.needs || !request.isComplete)) return false;
  if (mustBeAnnounced(session, request)) return false;
  if (session.server !== undefined && !session.moments.isReady(session.server, request)) return false;
  session.openLane(false);
  if (session.mustStay) return !mayLeaveReplica(session) && mayFollowOpening(session, request);
  const node = session.serverNode;
  if (node?.role === 'primary')
    return request.hints?.route !== 'replica' && session.concerns.preferences.route !== 'replica';
  if (!request.planned.isRead || request.planned.begins || request.hints !== undefined || node === undefined)
    return false;
  if ((session.concerns.preferences.consistency ?? session.services.routing().consistency) === 'eventual') return true;
  const need = session.concerns.freshness.tokens.needLsn(
    session.database.topology.ticker,
    session.lastWriteOf(request),
  );
  return need !== undefined && node.lsn >= need;
}

/**
 * A request in flight may end the transaction on a replica. The session may then need another server, so the next request
 * waits for that answer.
 */
function mayLeaveReplica({ inFlight, serverNode, state, poolMode }: Session): boolean {
  if (serverNode?.role !== 'replica' || state.isPinned || poolMode === 'session') return false;
  return inFlight.last()?.plans.some(mayEnd) === true;
}

/**
 * While the transaction can still begin again on the primary, only a request that can run again may follow in flight.
 */
function mayFollowOpening(session: Session, request: Request): boolean {
  return !mayBeginOnPrimary(session) || mayBeKept(session, request);
}

function sayLocally(session: Session, request: Request): Outcome {
  if (session.status !== TxStatus.Failed) {
    const error = answerLocally(session, request);
    return error === undefined ? answered(session, request) : refuse(session, request, error);
  }
  session.say(errorResponse({ severity: 'ERROR', sqlstate: inFailedTransaction, message: abortedText }));
  request.attempt.failed();
  statementFailed(session, request, inFailedTransaction);
  return answered(session, request);
}

const inFailedTransaction = '25P02';
const abortedText = 'current transaction is aborted, commands ignored until end of transaction block';

/* ---- send ---- */

function send(session: Session, request: Request): Outcome {
  if (request.state === 'cancelled') {
    session.intake.cancelWaiting();
    return 'done';
  }
  const isFirst = session.inFlight.length === 0;
  if (isFirst && mustWait(session)) {
    const waits = awaitsOthers(session, request);
    if (waits !== undefined) return waits;
  }
  if (isFirst) session.openLane(request.target.isShort && isFit(session, request, session.server as ServerConnection));
  if (!beginRequest(session, request)) return 'done';
  forwardAll(session, request, request.messages ?? []);
  return 'done';
}

/** A quick test: rarely is there anything to wait for. */
function mustWait(session: Session): boolean {
  return session.concerns.freshness.isAhead || session.services.cache.hasPeers;
}

function awaitsOthers(session: Session, request: Request): Outcome | undefined {
  const waits = awaitsVisible(session, request);
  return (
    waits ??
    awaitsPeers(
      session,
      request,
      () => 'send',
      () => 'find server',
    )
  );
}
