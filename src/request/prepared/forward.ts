/**
 * Sends one message of a client to the session's server: rewrites statement names, prepares statements that the server
 * does not have, and records which answer each message will bring. No routing, no waiting.
 */
import { Frontend, describeType } from '../../protocol/codes.ts';
import { Answer, Owed, type OwedKind } from '../../protocol/answers.ts';
import { ProtocolError, endOfString, readName } from '../../protocol/read.ts';
import { closeComplete } from '../../protocol/write.ts';
import type { AnswerReceiver, ServerConnection } from '../../backend/server.ts';
import type { Plan } from '../../binding/plan.ts';
import type { Session } from '../../session/session.ts';
import { isPiece, type Message, type Request } from '../../session/request.ts';
import { planOf } from '../plans.ts';
import { statementName } from '../statement-name.ts';
import { useBorrowed } from './borrowed.ts';
import { planWithValues } from './bound-settings.ts';
import { forwardParse } from './forward-parse.ts';
import { askDescription, closeEvicted, ensure, passesNames, tellNames, unknownStatement } from './names.ts';
import { withServerPid } from './own-pid.ts';
import { owe, pretend, send } from './owe.ts';
import { replaced } from './replaced.ts';

/**
 * Sends `message` to the session's server.
 * @param instead for a Bind or Describe whose statement was closed there: the error to send to the client
 * @throws ProtocolError if the message is malformed
 */
export function forward(session: Session, message: Message, instead?: Buffer): void {
  const server = session.server as ServerConnection;
  const request = session.inFlight.last() as Request;
  if (request.planned.namesPid) message = withServerPid(session, server, request, message);
  switch (message.type) {
    case Frontend.Query:
      tellNames(session, server, request.plans.at(-1) as Plan, false);
      return forwardSingle(session, server, message, Owed.Query);
    case Frontend.FunctionCall:
      return forwardSingle(session, server, message, Owed.FunctionCall);
    case Frontend.Parse:
      return forwardParse(session, server, message);
    case Frontend.Bind:
      return forwardBind(session, server, message, instead);
    case Frontend.Describe:
    case Frontend.Close:
      return forwardNamed(session, server, message, instead);
    case Frontend.Execute:
      return forwardExecute(session, server, message);
    case Frontend.Sync:
      learnUnnamed(session, server);
      closeEvicted(session, server);
      send(message, server);
      return owe(session, Owed.Sync);
    case Frontend.Flush:
    case Frontend.CopyData:
      return send(message, server);
    case Frontend.CopyDone:
    case Frontend.CopyFail:
      send(message, server);
      return server.answers.copyEnded();
    default:
      throw new ProtocolError(`invalid frontend message type ${describeType(message.type)}`);
  }
}

/** A Query or FunctionCall. */
function forwardSingle(session: Session, server: ServerConnection, message: Message, kind: OwedKind): void {
  // A Query within a batch can leave PostgreSQL in an implicit transaction.
  if (server.answers.isInBatch) server.isCloseNeeded = true;
  if (kind === Owed.Query) {
    server.prepared.unnamed = undefined;
    session.prepared.unnamed.drop();
  }
  send(message, server);
  oweExecution(session, server, kind);
}

function oweExecution(
  session: Session,
  server: ServerConnection,
  kind: OwedKind,
  undo?: (isSkipped: boolean) => void,
  plan?: Plan,
): void {
  const answer = new Answer<AnswerReceiver>(kind, session.receiver, false, undefined, undo, plan);
  answer.mayCopyIn = session.inFlight.last()?.planned.mayCopyIn === true;
  server.owe(answer);
}

function forwardExecute(session: Session, server: ServerConnection, message: Message): void {
  const end = endOfString(message.buffer, message.start + 5, message.end);
  const plan = session.prepared.portal(readName(message.buffer, message.start + 5, end));
  // Later messages of the batch use the new names.
  const facts = plan?.hasEffects === true ? plan.facts.statements[0] : undefined;
  const undo = facts === undefined ? undefined : session.prepared.changedBySql(facts);
  send(message, server);
  oweExecution(session, server, Owed.Execute, undo, plan);
}

/**
 * The batch has prepared an unnamed statement for later batches: asks for its description, since another server may
 * have to prepare it.
 */
function learnUnnamed(session: Session, server: ServerConnection): void {
  const unnamed = session.prepared.unnamed.statement;
  const request = session.inFlight.last();
  if (unnamed === undefined || request?.names.parsed?.has('') !== true || !isForLater(request)) return;
  if (passesNames(session) || server.prepared.unnamed !== unnamed || unnamed.description !== undefined) return;
  if (request.form.shape.includes('S')) return;
  askDescription(session, server, unnamed, (description) => void (unnamed.description = description));
}

/** @returns true if the unnamed statement will presumably be used in a later batch, because this one has no Bind */
function isForLater(request: Request): boolean {
  return !request.form.binds;
}

/** Describe of a statement. That of the unnamed one is kept, in case another server has to prepare it. */
function oweDescribe(session: Session, name: string): void {
  const unnamed = session.prepared.unnamed.statement;
  const answer = new Answer<AnswerReceiver>(Owed.Describe, session.receiver);
  const isLearned = name === '' && unnamed !== undefined && unnamed.description === undefined;
  if (isLearned && isForLater(session.inFlight.last() as Request) && !passesNames(session))
    answer.described = (description) => void (unnamed.description = description);
  (session.server as ServerConnection).owe(answer);
}

/** A Bind or Describe of a statement that the server no longer has. Its name is in bytes [from, to). */
function forwardGone(session: Session, message: Message, from: number, to: number, instead: Buffer): void {
  const server = session.server as ServerConnection;
  const name = statementName(message) as string;
  server.send(replaced(message, from, to, session.prepared.get(name)?.serverName ?? name).buffer);
  server.isMidMessage = isPiece(message);
  const kind = message.type === Frontend.Bind ? Owed.Bind : Owed.Describe;
  server.owe(new Answer<AnswerReceiver>(kind, session.receiver, false, instead));
}

function forwardBind(session: Session, server: ServerConnection, message: Message, instead?: Buffer): void {
  const { buffer, start, end } = message;
  const portalEnd = endOfString(buffer, start + 5, end);
  const nameEnd = endOfString(buffer, portalEnd + 1, end);
  const portal = readName(buffer, start + 5, portalEnd);
  const name = statementName(message) as string;
  const general = planOf(session, name);
  const plan = general?.hasEffects === true ? planWithValues(session, general, message, name) : general;
  if (plan !== undefined) {
    if (plan !== general) (session.inFlight.last() as Request).addPlan(plan);
    session.prepared.bindPortal(portal, plan);
    tellNames(session, server, plan, true);
  }
  if (instead !== undefined) return forwardGone(session, message, portalEnd + 1, nameEnd, instead);
  useBorrowed(session, session.inFlight.last() as Request, name);
  const serverName = ensure(session, server, name);
  if (serverName === name) {
    send(message, server);
    return owe(session, Owed.Bind);
  }
  server.send(replaced(message, portalEnd + 1, nameEnd, serverName).buffer);
  server.isMidMessage = isPiece(message);
  owe(session, Owed.Bind, undefined, undefined, [serverName, name]);
}

/** Describe and Close, of a statement or a portal. */
function forwardNamed(session: Session, server: ServerConnection, message: Message, instead?: Buffer): void {
  const { buffer, start, end } = message;
  const isClose = message.type === Frontend.Close;
  const nameEnd = endOfString(buffer, start + 6, end);
  if (buffer[start + 5] !== 0x53 /* S */) {
    send(message, server);
    return owe(session, isClose ? Owed.Close : Owed.Describe);
  }
  const name = readName(buffer, start + 6, nameEnd);
  if (isClose) return closeStatement(session, server, message, name);
  if (instead !== undefined) return forwardGone(session, message, start + 6, nameEnd, instead);
  useBorrowed(session, session.inFlight.last() as Request, name);
  const serverName = ensure(session, server, name);
  if (serverName === name) {
    send(message, server);
    return oweDescribe(session, name);
  }
  server.send(replaced(message, start + 6, nameEnd, serverName).buffer);
  owe(session, Owed.Describe, undefined, undefined, [serverName, name]);
}

function closeStatement(session: Session, server: ServerConnection, message: Message, name: string): void {
  if (name === '') {
    const takeBack = session.prepared.unnamed.close();
    server.prepared.unnamed = undefined;
    send(message, server);
    const undo = (): void => {
      server.prepared.unnamed = unknownStatement;
      takeBack();
    };
    return owe(session, Owed.Close, undo);
  }
  const statement = session.prepared.leave(name);
  const own = session.prepared.ownName(name);
  session.prepared.leaveOwnName(name);
  const undo = (): void => {
    if (statement !== undefined) session.prepared.restore(name, statement);
    if (own !== undefined) session.prepared.setOwnName(name, own);
  };
  // Only the client's name is removed: the servers keep the statement for other clients, and close the least recently
  // used first.
  if (own === undefined && !passesNames(session)) return pretend(session, closeComplete, undo);
  send(message, server);
  owe(session, Owed.Close, undo);
}
