/**
 * Sends one message of a client to the server that the session holds: rewrites statement names, prepares on demand
 * what this server does not have yet, and notes what answer each message will bring. No routing, no waiting.
 */
import { Frontend, describeType } from '../protocol/codes.ts';
import { Answer, Owed, type OwedKind } from '../protocol/answers.ts';
import { ProtocolError, endOfString } from '../protocol/read.ts';
import { close, closeComplete, errorResponse, parse, parseComplete } from '../protocol/write.ts';
import type { AnswerReceiver, ServerConnection } from '../backend/server.ts';
import { WeirError } from '../errors.ts';
import type { Plan } from '../routing/plan.ts';
import type { ClientSession } from './client.ts';
import type { Statement } from './statements.ts';
import { isPiece, type Message } from './unit.ts';
import { planOf } from './plans.ts';

/** A statement name that no server has: binding it makes the server fail the batch, so that Weir can say why. */
const noSuchStatement = Buffer.from('\0weir no such statement\0\0\0\0\0\0\0', 'latin1');

/** Is the protocol's own naming in force (session mode, or max_prepared_statements = 0)? */
function passesNames(session: ClientSession): boolean {
  return session.poolMode === 'session' || session.database.settings().maxPreparedStatements === 0;
}

function send(message: Message, server: ServerConnection): void {
  const { buffer, start, end } = message;
  server.send(start === 0 && end === buffer.length ? buffer : buffer.subarray(start, end));
  server.isMidMessage = isPiece(message);
}

function owe(session: ClientSession, kind: OwedKind, undo?: () => void, context?: unknown): void {
  const server = session.server as ServerConnection;
  server.owe(new Answer<AnswerReceiver>(kind, session.receiver, false, undefined, undo, context));
}

/** The batch fails here with an error of ours, exactly where the server would have failed it. */
function provoke(session: ClientSession, error: WeirError): void {
  const server = session.server as ServerConnection;
  const header = Buffer.from([Frontend.Bind, 0, 0, 0, 4 + noSuchStatement.length]);
  server.send(Buffer.concat([header, noSuchStatement]));
  server.owe(new Answer<AnswerReceiver>(Owed.Bind, session.receiver, false, errorResponse(error)));
}

/** Sends `message` to the session's server. @throws ProtocolError if it is malformed */
export function forward(session: ClientSession, message: Message): void {
  const server = session.server as ServerConnection;
  switch (message.type) {
    case Frontend.Query:
      server.unnamed = undefined;
      session.unnamed = undefined;
      send(message, server);
      return owe(session, Owed.Query);
    case Frontend.FunctionCall:
      send(message, server);
      return owe(session, Owed.FunctionCall);
    case Frontend.Parse:
      return forwardParse(session, server, message);
    case Frontend.Bind:
      return forwardBind(session, server, message);
    case Frontend.Describe:
    case Frontend.Close:
      return forwardNamed(session, server, message);
    case Frontend.Execute:
      send(message, server);
      return owe(session, Owed.Execute, undefined, executedPlan(session, message));
    case Frontend.Sync:
      closeEvicted(session, server);
      send(message, server);
      session.portals = undefined;
      return owe(session, Owed.Sync);
    case Frontend.Flush:
    case Frontend.CopyData:
      return send(message, server);
    case Frontend.CopyDone:
    case Frontend.CopyFail:
      send(message, server);
      return owe(session, Owed.CopyEnd);
    default:
      throw new ProtocolError(`invalid frontend message type ${describeType(message.type)}`);
  }
}

function executedPlan(session: ClientSession, message: Message): Plan | undefined {
  const end = endOfString(message.buffer, message.start + 5, message.end);
  return session.portals?.get(message.buffer.toString('utf8', message.start + 5, end));
}

function forwardParse(session: ClientSession, server: ServerConnection, message: Message): void {
  const { buffer, start, end } = message;
  const nameEnd = endOfString(buffer, start + 5, end);
  const sqlEnd = endOfString(buffer, nameEnd + 1, end);
  if (nameEnd === start + 5) {
    // The unnamed statement stays as it is; it only has to be known whose it is.
    const before = session.unnamed;
    session.unnamed = session.parsed(buffer.subarray(nameEnd + 1, sqlEnd), buffer.subarray(sqlEnd + 1, end));
    server.unnamed = session.unnamed;
    const undo = (): void => {
      server.unnamed = undefined;
      if (session.unnamed !== before) session.unnamed = undefined;
    };
    send(message, server);
    return owe(session, Owed.Parse, undo);
  }
  const name = buffer.toString('utf8', start + 5, nameEnd);
  if (session.statements?.has(name) === true) return provoke(session, new WeirError('statement_exists', { name }));
  const statement = session.enterStatement(
    name,
    buffer.subarray(nameEnd + 1, sqlEnd),
    buffer.subarray(sqlEnd + 1, end),
  );
  if (passesNames(session)) {
    send(message, server);
    return owe(session, Owed.Parse, () => session.leaveStatement(name));
  }
  if (server.prepared.use(statement.serverName)) {
    const undo = (): void => session.leaveStatement(name);
    return server.owe(new Answer<AnswerReceiver>(Owed.Fake, session.receiver, false, parseComplete, undo));
  }
  prepare(session, server, statement, false, () => session.leaveStatement(name));
}

/** Sends Parse for a statement that the server does not have. `isSkipped`: the client did not ask for it just now. */
function prepare(
  session: ClientSession,
  server: ServerConnection,
  statement: Statement,
  isSkipped: boolean,
  undo?: () => void,
): void {
  const evicted = server.prepared.add(statement.serverName);
  // Closing at once would take portals of this very batch along: it is done before Sync.
  if (evicted !== undefined) (session.evicted ??= []).push(evicted);
  server.send(parse(statement.serverName, statement.sql, statement.types));
  const undoAll = (): void => {
    server.prepared.delete(statement.serverName);
    undo?.();
  };
  server.owe(new Answer<AnswerReceiver>(Owed.Parse, session.receiver, isSkipped, undefined, undoAll));
}

function closeEvicted(session: ClientSession, server: ServerConnection): void {
  if (session.evicted === undefined) return;
  for (const name of session.evicted) {
    if (server.prepared.use(name)) continue;
    server.send(close('S', name));
    server.owe(new Answer<AnswerReceiver>(Owed.Close, session.receiver, true));
  }
  session.evicted = undefined;
}

/** Makes sure that the server has the statement the client calls `name`; its name there, or undefined after provoking an error. */
function ensure(session: ClientSession, server: ServerConnection, name: string): string | undefined {
  if (name === '') {
    const unnamed = session.unnamed;
    if (unnamed !== undefined && server.unnamed !== unnamed) {
      server.unnamed = unnamed;
      server.send(parse('', unnamed.sql, unnamed.types));
      const undo = (): void => void (server.unnamed = undefined);
      server.owe(new Answer<AnswerReceiver>(Owed.Parse, session.receiver, true, undefined, undo));
    }
    return '';
  }
  const statement = session.statements?.get(name);
  if (passesNames(session)) return name;
  if (statement === undefined) {
    provoke(session, new WeirError('statement_not_found', { name }));
    return undefined;
  }
  if (!server.prepared.use(statement.serverName)) prepare(session, server, statement, true);
  return statement.serverName;
}

function forwardBind(session: ClientSession, server: ServerConnection, message: Message): void {
  const { buffer, start, end } = message;
  const portalEnd = endOfString(buffer, start + 5, end);
  const nameEnd = endOfString(buffer, portalEnd + 1, end);
  const portal = buffer.toString('utf8', start + 5, portalEnd);
  const name = buffer.toString('utf8', portalEnd + 1, nameEnd);
  const plan = planOf(session, name);
  if (plan !== undefined) (session.portals ??= new Map()).set(portal, plan);
  const serverName = ensure(session, server, name);
  if (serverName === undefined) return;
  if (serverName === name) send(message, server);
  else server.send(renamed(message, portalEnd + 1, nameEnd, serverName));
  server.isMidMessage = isPiece(message);
  owe(session, Owed.Bind);
}

/** Describe and Close, of a statement or a portal. */
function forwardNamed(session: ClientSession, server: ServerConnection, message: Message): void {
  const { buffer, start, end } = message;
  const kind = message.type === Frontend.Close ? Owed.Close : Owed.Describe;
  const what = buffer[start + 5];
  const nameEnd = endOfString(buffer, start + 6, end);
  const name = buffer.toString('utf8', start + 6, nameEnd);
  if (what !== 0x53 /* S */ || passesNames(session)) {
    if (what === 0x53 && kind === Owed.Close) session.leaveStatement(name);
    send(message, server);
    return owe(session, kind);
  }
  if (kind === Owed.Close && name !== '') {
    // The servers keep it for others (least recently used goes first); only the client's name is gone.
    session.leaveStatement(name);
    return server.owe(new Answer<AnswerReceiver>(Owed.Fake, session.receiver, false, closeComplete));
  }
  const serverName = kind === Owed.Close ? name : ensure(session, server, name);
  if (serverName === undefined) return;
  if (kind === Owed.Close) session.unnamed = server.unnamed = undefined;
  if (serverName === name) send(message, server);
  else server.send(renamed(message, start + 6, nameEnd, serverName));
  owe(session, kind);
}

/** The message with bytes [from, to) replaced by another name; its length field put right. The rest is not copied twice. */
function renamed(message: Message, from: number, to: number, name: string): Buffer {
  const { buffer, start, end } = message;
  const bytes = Buffer.from(name, 'latin1');
  const out = Buffer.allocUnsafe(end - start - (to - from) + bytes.length);
  buffer.copy(out, 0, start, from);
  bytes.copy(out, from - start);
  buffer.copy(out, from - start + bytes.length, to, end);
  const announced = buffer.readInt32BE(start + 1);
  out.writeInt32BE(announced - (to - from) + bytes.length, 1);
  return out;
}
