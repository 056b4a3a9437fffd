/**
 * The server connection was lost. Reads of which the client has seen nothing run again elsewhere; all other requests
 * get an error, the server's own if it sent one. No write runs twice. A client that loses an open transaction or
 * pinned state loses its connection too, because it must not go on relying on them; so does one that has got half of a
 * message, after which nothing can be sent.
 */
import { TxStatus } from '../protocol/codes.ts';
import { errorResponse, readyForQuery, toldAsError } from '../protocol/write.ts';
import type { End, FinalMessage } from '../backend/receiver.ts';
import { WeirError } from '../errors/errors.ts';
import type { Session } from '../session/session.ts';
import { countAnswer, countCutOff } from './count.ts';
import { avoidNode, canRunAgain, runAgain } from './run-again.ts';
import { leaveFlight } from './load.ts';
import type { Request } from '../session/request.ts';
import { statementFailed } from './statement-ends.ts';
import { isUnservedByServer } from './unserved.ts';

/** @param words the server's last */
function isUnserved(words: FinalMessage | undefined): boolean {
  return words === undefined || isUnservedByServer(words.sqlstate);
}

function hasSeenSomething(request: Request | undefined): boolean {
  return request === undefined || request.state === 'shown' || request.state === 'taken back';
}

/** SQLSTATE of transaction_timeout. The statement has used up its time, so it does not run again. */
const transactionTimeout = '25P04';

export function serverLost(session: Session, end: End, isMidMessage: boolean, isOwed: boolean): void {
  if (session.isClosed) return;
  const { why, isNodeAtFault } = end;
  const words = isForClient(session, end.finalMessage) ? end.finalMessage : undefined;
  const isCutOff = isMidMessage && hasSeenSomething(session.inFlight.peek());
  const node = session.serverNode;
  session.moments.serverLost();
  // Everything was answered: the client would take an error for the answer to its next message, and miss the one to
  // Sync.
  const isAnswered = session.intake.isInBatch && !isOwed;
  const hadState = session.mustStay || isAnswered || session.inFlight.peek()?.attempt.endsSession === true;
  const wasPaused = session.endPause();
  session.forgetServer();
  const { topology } = session.database;
  if (node !== undefined && isNodeAtFault && session.inFlight.length > 0)
    topology.reportFailure(node.name, end.finalMessage === undefined ? 'lost' : 'shutdown', why);
  // The client has got half of a message: it would take an error for the rest of it.
  if (isCutOff) return cutOff(session, why, words);
  const requests: Request[] = [];
  for (let request = session.inFlight.shift(); request !== undefined; request = session.inFlight.shift())
    requests.push(request);
  // These run again: requests passed over before, then the last ones of which the client has seen nothing.
  let kept = requests.length;
  const mayRunAgain = !hadState && end.finalMessage?.sqlstate !== transactionTimeout;
  while (mayRunAgain && kept > 0 && canRunAgain(requests[kept - 1] as Request)) kept--;
  const more = requests.splice(kept);
  for (const request of more) leaveFlight(session, request, 'runs again');
  const again = [...session.again.splice(0), ...more];
  for (const request of requests) request.cache.flight?.abandon();
  session.moments.transactionLost(TxStatus.Idle);
  if (hadState) {
    abandon(session, requests, words);
    return endWith(session, why, words);
  }
  for (const request of requests) giveUp(session, request, why, words);
  session.intake.serverLost();
  session.rolledBack();
  if (again.length > 0) {
    for (const request of again)
      if (!request.target.isRefused) avoidNode(request, `${node?.name ?? 'the server'} was lost (${why})`);
    return runAgain(session, again);
  }
  session.intake.copyIn.heard();
  // With nothing in flight there is no wait for answers to end; a request may be about to be sent to the lost server.
  if (wasPaused) session.goOn(() => undefined);
  else if (requests.length > 0) session.becameQuiet();
}

function abandon(session: Session, requests: readonly Request[], words: FinalMessage | undefined): void {
  const endsItself = requests[0]?.attempt.endsSession === true;
  countCutOff(session, requests, !endsItself && isUnserved(words));
  for (const request of requests) leaveFlight(session, request, 'abandoned');
}

/** Sends the client the error in place of the rest of the answer, unless it has got one, and ReadyForQuery. */
function giveUp(session: Session, request: Request, why: string, words: FinalMessage | undefined): void {
  const isTold = request.attempt.hasError && request.state !== 'passed over';
  leaveFlight(session, request, 'given up');
  if (!isTold) {
    const own = new WeirError('server_lost', { why });
    statementFailed(session, request, words?.sqlstate ?? own.sqlstate);
    // An ERROR, because the connection goes on: drivers close theirs at a FATAL.
    session.say(
      words === undefined ? errorResponse(own) : toldAsError(words.frame, words.hasHint ? undefined : own.hint),
    );
  }
  request.attempt.failed(isUnserved(words));
  session.wasAnswered(request);
  countAnswer(session, request);
  if (request.isComplete) session.say(readyForQuery('I'));
  else session.intake.skipToSync();
}

const lostStateText =
  'The client held state on that server (an open transaction, or what SHOW CLIENTS lists as pins), which is gone with it.';

/** SQLSTATE of idle_session_timeout. Usually such a server is idle in its pool, and no client is told. */
const idleSessionTimeout = '57P05';

function isForClient(session: Session, words: FinalMessage | undefined): boolean {
  return words !== undefined && (words.sqlstate !== idleSessionTimeout || session.keepsServer);
}

function cutOff(session: Session, why: string, words: FinalMessage | undefined): void {
  countCutOff(session, session.inFlight, isUnserved(words));
  session.cutOff(why);
}

/** Ends the connection as PostgreSQL does: its message, byte for byte, and nothing after it. */
function endWith(session: Session, why: string, words: FinalMessage | undefined): void {
  if (words === undefined) return session.terminate(new WeirError('server_lost', { why }, lostStateText));
  const isTold = words.relayedTo === session.receiver;
  session.wire.end(isTold ? undefined : words.frame);
}
