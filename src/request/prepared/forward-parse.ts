/** Forwards a Parse: under the name that its text has on the servers, or answered without one. Called by forward.ts. */
import { Answer, Owed } from '../../protocol/answers.ts';
import { endOfString, readName } from '../../protocol/read.ts';
import { describe, errorResponse, parse, parseComplete } from '../../protocol/write.ts';
import { WeirError } from '../../errors/errors.ts';
import type { AnswerReceiver, ServerConnection } from '../../backend/server.ts';
import type { Session } from '../../session/session.ts';
import type { Statement } from '../../session/statements.ts';
import type { Message, Request } from '../../session/request.ts';
import { borrow } from './borrowed.ts';
import {
  ensure,
  isPrepared,
  learnDescription,
  mayBeFailed,
  passesNames,
  prepare,
  tellExecuted,
  unknownStatement,
} from './names.ts';
import { owe, pretend, send, span } from './owe.ts';

export function forwardParse(session: Session, server: ServerConnection, message: Message): void {
  const { buffer, start, end } = message;
  const nameEnd = endOfString(buffer, start + 5, end);
  const sqlEnd = endOfString(buffer, nameEnd + 1, end);
  const sql = buffer.subarray(nameEnd + 1, sqlEnd);
  const types = buffer.subarray(sqlEnd + 1, end);
  if (nameEnd === start + 5) return parseUnnamed(session, server, message, sql, types);
  const name = readName(buffer, start + 5, nameEnd);
  const namesake = session.prepared.named(name);
  if (namesake !== undefined) {
    if (!passesNames(session) && !isPrepared(session, server, namesake))
      return refuseName(session, server, name, namesake, parse('', sql, types));
    // The server reports the error: in the text, or that the name is taken.
    const serverName = ensure(session, server, name);
    server.send(serverName === name ? span(message) : parse(serverName, sql, types));
    return owe(session, Owed.Parse, undefined, undefined, [serverName, name]);
  }
  if (session.prepared.ownName(name) !== undefined) {
    send(message, server);
    return owe(session, Owed.Parse);
  }
  const statement = session.prepared.enter(name, sql, types);
  (session.inFlight.last() as Request).attempt.noteEntered(name, statement);
  const undo = (): void => session.prepared.forget(name, statement);
  if (passesNames(session)) {
    // With max_prepared_statements = 0 clients' names are used on the servers: the next client must not find this
    // statement.
    if (session.poolMode !== 'session') server.sessionState.isSuspect = true;
    send(message, server);
    return owe(session, Owed.Parse, undo);
  }
  if (!isPrepared(session, server, statement)) {
    prepare(session, server, statement, false, undo);
    if (statement.description === undefined) learnDescription(session, server, statement);
    return;
  }
  if (!mayBeFailed(session)) {
    borrow(session, name);
    return pretend(session, parseComplete, undo);
  }
  // In a failed transaction PostgreSQL refuses a Parse, and only the server knows whether it has failed.
  server.prepared.unnamed = unknownStatement;
  server.send(parse('', sql, types));
  owe(session, Owed.Parse, undo);
}

/** The client has a statement of that name, but the server does not: it can only tell whether the text is right. */
function refuseName(
  session: Session,
  server: ServerConnection,
  name: string,
  { serverName }: Statement,
  parsing: Buffer,
): void {
  server.prepared.unnamed = unknownStatement;
  server.send(parsing);
  session.database.stats.serverParses++;
  server.owe(new Answer<AnswerReceiver>(Owed.Parse, session.receiver, true));
  server.send(describe('S', serverName));
  const instead = errorResponse(new WeirError('statement_exists', { name }));
  server.owe(new Answer<AnswerReceiver>(Owed.Describe, session.receiver, false, instead));
}

function parseUnnamed(session: Session, server: ServerConnection, message: Message, sql: Buffer, types: Buffer): void {
  // It goes to the server as it is. Weir only notes whose unnamed statement the server has.
  const [before, serverBefore] = [session.prepared.unnamed.statement, server.prepared.unnamed];
  const unnamed = session.prepared.unnamed.parse(sql, types);
  server.prepared.unnamed = unnamed;
  const undo = (isSkipped: boolean): void => {
    // A Parse that is skipped leaves the unnamed statement before it; one that fails leaves none.
    if (server.prepared.unnamed === unnamed) server.prepared.unnamed = isSkipped ? serverBefore : undefined;
    session.prepared.unnamed.neverParsed(unnamed, isSkipped ? before : undefined);
  };
  tellExecuted(session, server, unnamed);
  send(message, server);
  owe(session, Owed.Parse, undo);
}
