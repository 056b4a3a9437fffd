/**
 * A prepared statement keeps the result type that it had when it was first prepared, on any server. A server that has
 * to prepare it anew is first asked for its present result type: the batch pauses there, and goes on with its next
 * message, or with PostgreSQL's error for a changed result type.
 */
import { Backend, Frontend } from '../../protocol/codes.ts';
import { isSameDescription, noRows } from '../../protocol/description.ts';
import { endOfString, readErrorFields, readName } from '../../protocol/read.ts';
import { errorResponse, flush, frame } from '../../protocol/write.ts';
import { Answer, Owed } from '../../protocol/answers.ts';
import type { AnswerReceiver, ServerConnection } from '../../backend/server.ts';
import { renewBorrowed } from './borrowed.ts';
import type { Session } from '../../session/session.ts';
import { forward } from './forward.ts';
import { pretend } from './owe.ts';
import {
  askDescription,
  closeSkipped,
  ensureUnnamed,
  goesByOwnName,
  noTypes,
  passesNames,
  prepare,
  typesOf,
  unknownStatement,
} from './names.ts';
import { isDescribedByNames, type Statement } from '../../session/statements.ts';
import type { Message, Request } from '../../session/request.ts';

/** PostgreSQL's own error: drivers recognize it by the routine, and prepare the statement again. */
const changedResultType = errorResponse({
  severity: 'ERROR',
  sqlstate: '0A000',
  message: 'cached plan must not change result type',
  file: 'plancache.c',
  routine: 'RevalidateCachedQuery',
});

/**
 * @param isNew the client is preparing it now, so the types of its parameters may differ, too
 * @returns true if the statement may have another result type on a server that does not have it yet
 */
function isOpenToChange(statement: Statement, isNew: boolean): boolean {
  const { description, classified } = statement;
  const kind = classified.facts.statements[0]?.kind;
  // PostgreSQL compares the result types only of statements that it plans.
  if (description === undefined || isDescribedByNames(classified)) return false;
  return (
    description.resultType !== noRows || kind === 'call' || (isNew && description.parameters?.equals(noTypes) !== true)
  );
}

/** @returns the statement that the message uses, if the server must first be asked for its result type */
function toCheck(session: Session, message: Message): Statement | undefined {
  const server = session.server as ServerConnection;
  const statement = usedBy(session, message);
  if (statement === undefined || !isOpenToChange(statement, message.type === Frontend.Parse) || passesNames(session))
    return undefined;
  const { serverName } = statement;
  if (serverName !== '') {
    const isThere = server.prepared.has(serverName) || session.prepared.isEvicted(serverName);
    return isThere ? undefined : statement;
  }
  return server.prepared.unnamed === statement ? undefined : statement;
}

/** The name of the statement in a Bind, or in a Describe of a statement; undefined: it is another message. */
function nameUsedBy({ type, buffer, start, end }: Message): string | undefined {
  let at = start + 5;
  if (type === Frontend.Bind) at = endOfString(buffer, at, end) + 1;
  else if (type === Frontend.Describe && buffer[at] === 0x53 /* S */) at++;
  else return undefined;
  return readName(buffer, at, endOfString(buffer, at, end));
}

/** @returns the statement of a Bind or Describe; for a Parse, the one that another client has with the same text */
function usedBy(session: Session, message: Message): Statement | undefined {
  const used = nameUsedBy(message);
  if (used !== undefined) return goesByOwnName(session, used) ? undefined : session.prepared.get(used);
  const { type, buffer, start, end } = message;
  if (type !== Frontend.Parse) return undefined;
  const nameEnd = endOfString(buffer, start + 5, end);
  const name = readName(buffer, start + 5, nameEnd);
  if (name === '' || session.prepared.ownName(name) !== undefined) return undefined;
  // The name is taken, so the Parse will be refused: the server must have the existing statement.
  const namesake = session.prepared.named(name);
  if (namesake !== undefined) return namesake;
  const sqlEnd = endOfString(buffer, nameEnd + 1, end);
  return session.prepared.known(buffer.subarray(nameEnd + 1, sqlEnd), buffer.subarray(sqlEnd + 1, end));
}

/** A Query or FunctionCall within a batch. PostgreSQL skips it if the batch has failed, so that must be known first. */
function waitsForBatch({ type }: Message, server: ServerConnection): boolean {
  return (type === Frontend.Query || type === Frontend.FunctionCall) && server.answers.isInBatch;
}

/** Calls `goOn` when everything that was sent before is answered, or an error has made the server skip the rest. */
function whenAnswered(session: Session, goOn: (hasFailed: boolean) => void): void {
  const server = session.server as ServerConnection;
  session.openLane(false);
  let hasFailed = false;
  const go = pause(session, () => goOn(hasFailed));
  const mark = new Answer<AnswerReceiver>(Owed.Fake, session.receiver, true, undefined, () => {
    hasFailed = true;
    go();
  });
  mark.reached = go;
  server.send(flush);
  server.owe(mark);
}

/** Reads nothing from the client until the returned function is called or the server is gone. */
function pause(session: Session, step: () => void): () => void {
  session.pause(step);
  session.waiting('statement check');
  // Not at once: the code that is reading the server's answer, or undoing what failed, must finish first.
  return (): void =>
    queueMicrotask(() => {
      if (session.endPause(step)) session.goOn(step);
    });
}

/**
 * Sends the messages of a request that have come so far. Some may be sent later, after the server has answered a
 * question.
 */
export function forwardAll(session: Session, request: Request, messages: readonly Message[], from = 0): void {
  for (let at = from; at < messages.length; at++) {
    const message = messages[at] as Message;
    if (waitsForBatch(message, session.server as ServerConnection)) {
      return whenAnswered(session, (hasFailed) => {
        if (hasFailed) session.intake.reopen(request);
        else forward(session, message);
        request.sent();
      });
    }
    const statement = toCheck(session, message);
    if (statement?.serverName === '' && message.type === Frontend.Bind && mayTakeBack(session)) {
      prepareInAdvance(session, statement);
      forward(session, message);
      // The next message that uses the unnamed statement must ask again.
      (session.server as ServerConnection).prepared.unnamed = unknownStatement;
      continue;
    }
    if (statement !== undefined) {
      // If the server is lost meanwhile, only a read runs again.
      if (request.attempt.held === undefined) request.messages = undefined;
      return check(session, statement, message.type === Frontend.Parse, (isSame) => {
        if (isSame) forward(session, message);
        else forwardStale(session, message, statement);
        forwardAll(session, request, messages, at + 1);
      });
    }
    forward(session, message);
  }
  request.sent();
}

/** Prepares the statement within the batch, and calls `goOn` when the server has described it. */
function check(session: Session, statement: Statement, isNew: boolean, goOn: (isSame: boolean) => void): void {
  const server = session.server as ServerConnection;
  const known = statement.description;
  // A batch that pauses would hold up the other clients in the lane.
  session.openLane(false);
  let isSame = true;
  const answered = pause(session, () => goOn(isSame));
  if (statement.serverName === '') ensureUnnamed(session, server);
  else prepare(session, server, statement, true, undefined, isNew ? statement.types : typesOf(statement));
  askDescription(
    session,
    server,
    statement,
    (description) => {
      isSame = known === undefined || isSameDescription(known, description);
      if (isSame) statement.description = description;
      answered();
    },
    // The Describe failed or was skipped: the server reports the error.
    answered,
  );
  server.send(flush);
}

/**
 * The result type of the statement has changed: a Parse makes a new statement, and a message that uses the old one
 * fails.
 */
function forwardStale(session: Session, message: Message, { serverName, description }: Statement): void {
  const server = session.server as ServerConnection;
  if (serverName === '') server.prepared.unnamed = undefined;
  else server.prepared.delete(serverName);
  closeSkipped(session, server, serverName);
  if (message.type === Frontend.Parse) {
    session.services.book.catalogChanged();
    return forward(session, message);
  }
  if (renewBorrowed(session, nameUsedBy(message) ?? '')) return forward(session, message);
  // PostgreSQL describes the parameters before it looks at the rest.
  if (message.type === Frontend.Describe && description?.parameters !== undefined) {
    pretend(session, frame(Backend.ParameterDescription, description.parameters));
  }
  forward(session, message, changedResultType);
}

/** @returns true if only a read without side effects is in flight, so that Weir may replace its answer by an error */
function mayTakeBack(session: Session): boolean {
  const request = session.inFlight.peek();
  return (
    session.inFlight.length === 1 &&
    request?.planned.isRead === true &&
    request.isComplete &&
    !request.planned.begins &&
    !session.mustStay
  );
}

/**
 * Prepares the unnamed statement for such a read, without a pause. If its result type turns out to have changed, the
 * client gets the error and nothing that the server sends after that.
 */
function prepareInAdvance(session: Session, unnamed: Statement): void {
  const server = session.server as ServerConnection;
  const known = unnamed.description;
  ensureUnnamed(session, server);
  askDescription(session, server, unnamed, (description) => {
    const request = session.inFlight.peek();
    if (request === undefined || known === undefined || isSameDescription(known, description)) return;
    // The client has this error already: the batch uses the unnamed statement more than once.
    if (request.state === 'taken back') return;
    const bytes = changedResultType;
    session.receiver.errored(readErrorFields(bytes, 5, bytes.length), bytes, 0, bytes.length);
    // If it runs again with the statement prepared anew, the client gets that answer alone.
    if (request.state !== 'passed over') session.move(request, 'taken back');
  });
}
