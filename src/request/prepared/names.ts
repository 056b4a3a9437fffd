/**
 * Names of statements on a server. Each distinct text has one name there, given by Weir and prepared on demand. If a
 * statement in SQL (DEALLOCATE, EXECUTE, PREPARE) uses the client's own name, the server gets that name first.
 */
import { TxStatus } from '../../protocol/codes.ts';
import { Answer, Owed } from '../../protocol/answers.ts';
import { isSameDescription, type Description } from '../../protocol/description.ts';
import { close, describe, parse, sync } from '../../protocol/write.ts';
import type { AnswerReceiver, ServerConnection } from '../../backend/server.ts';
import type { Plan } from '../../binding/plan.ts';
import type { StatementFacts } from '../../sql/facts.ts';
import type { Session } from '../../session/session.ts';
import { inItsReading } from './parse-settings.ts';
import { planOf } from '../plans.ts';
import type { Statement } from '../../session/statements.ts';
import type { Request } from '../../session/request.ts';

/** Form of the names that Weir gives. A client may have one that looks the same, which is a different statement. */
const weirName = /^weir_\d+$/;
/** The server's unnamed statement is not known. */
export const unknownStatement: unknown = Symbol('unknown');
export const noTypes = Buffer.alloc(2);
const noSql = Buffer.alloc(0);

/** Clients' names are used on the servers (session mode, or max_prepared_statements = 0). */
export function passesNames(session: Session): boolean {
  return session.poolMode === 'session' || session.database.settings(session.user).maxPreparedStatements === 0;
}

/** @returns the name on the server for a statement that only the client's own name identifies */
export function foreignName(name: string): string {
  return weirName.test(name) ? `${name} of a client` : name;
}

/** @returns true if the transaction may have failed when the server processes what is sent now */
export function mayBeFailed(session: Session): boolean {
  if (session.status === TxStatus.Failed) return true;
  if (session.inFlight.length < 2) return false;
  if (session.status !== TxStatus.Idle) return true;
  for (let i = 0; i < session.inFlight.length; i++) if (session.inFlight.at(i)?.planned.begins === true) return true;
  return false;
}

/** @returns its parameter types: as PostgreSQL determined them when it was first prepared, otherwise as in its Parse */
export function typesOf(statement: Statement): Buffer {
  return statement.description?.parameters ?? statement.types;
}

/** @returns true if the server has the statement. A statement that was about to be closed there is kept. */
export function isPrepared(session: Session, server: ServerConnection, statement: Statement): boolean {
  const { serverName } = statement;
  if (server.prepared.use(serverName)) return true;
  if (!session.prepared.keep(serverName)) return false;
  evictFor(session, server, serverName);
  return true;
}

/** An evicted statement is closed before Sync, since closing it at once would also close portals of this batch. */
function evictFor(session: Session, server: ServerConnection, serverName: string): void {
  const evicted = server.prepared.add(serverName);
  if (evicted !== undefined) session.prepared.evict(evicted);
}

/**
 * Sends Parse for a statement that the server does not have. @param isSkipped the answer is not relayed to the client
 */
export function prepare(
  session: Session,
  server: ServerConnection,
  statement: Statement,
  isSkipped: boolean,
  undo?: () => void,
  types: Buffer = statement.types,
): void {
  const { serverName } = statement;
  tellExecuted(session, server, statement);
  // The Close of the statement in an earlier batch may have been skipped.
  if (session.inFlight.length > 1) closeSkipped(session, server, serverName);
  evictFor(session, server, serverName);
  const undoAll = (): void => {
    server.prepared.delete(serverName);
    undo?.();
  };
  inItsReading(session, server, statement, () => {
    server.send(parse(serverName, statement.sql, types));
    session.database.stats.serverParses++;
    server.owe(new Answer<AnswerReceiver>(Owed.Parse, session.receiver, isSkipped, undefined, undoAll));
  });
}

/** Closes a statement on the server, without an answer to the client. */
export function closeSkipped(session: Session, server: ServerConnection, name: string, undo?: () => void): void {
  server.send(close('S', name));
  server.owe(new Answer<AnswerReceiver>(Owed.Close, session.receiver, true, undefined, undo));
}

/** Sends Describe for a statement after its Parse, without an answer to the client. */
export function askDescription(
  session: Session,
  server: ServerConnection,
  statement: Statement,
  described: (description: Description) => void,
  undo?: () => void,
): void {
  server.send(describe('S', statement.serverName));
  const answer = new Answer<AnswerReceiver>(Owed.Describe, session.receiver, true, undefined, undo);
  answer.described = described;
  server.owe(answer);
}

/** Asks for the description of a statement that has none yet, and keeps it. */
export function learnDescription(session: Session, server: ServerConnection, statement: Statement): void {
  askDescription(session, server, statement, (description) => {
    statement.description ??= description;
    if (isSameDescription(statement.description, description)) return;
    // Two servers described it differently, because a table changed in between: only this client may use the
    // statement on this server.
    session.services.book.catalogChanged();
    server.isCloseNeeded = true;
  });
}

export function closeEvicted(session: Session, server: ServerConnection): void {
  const evicted = session.prepared.takeEvicted();
  if (evicted === undefined) return;
  for (const name of evicted) closeSkipped(session, server, name, () => server.prepared.restore(name));
}

/** The session's server has the client's statement by the client's own name. */
export function goesByOwnName({ prepared }: Session, name: string): boolean {
  return prepared.ownName(name) === 'real';
}

/** Makes sure that the server has the statement that the client calls `name`. @returns its name on the server */
export function ensure(session: Session, server: ServerConnection, name: string): string {
  if (name === '') {
    ensureUnnamed(session, server);
    return '';
  }
  if (passesNames(session)) return name;
  const statement = session.prepared.named(name);
  if (statement === undefined) return session.prepared.ownName(name) === undefined ? foreignName(name) : name;
  if (goesByOwnName(session, name)) return name;
  if (!isPrepared(session, server, statement)) {
    // The Parse may be skipped with the rest of its batch, so a later request that uses the statement waits for the answer.
    (session.inFlight.last() as Request).attempt.notePrepared(statement);
    session.prepared.namesSent();
    prepare(session, server, statement, true, undefined, typesOf(statement));
    if (statement.description === undefined) learnDescription(session, server, statement);
  }
  return statement.serverName;
}

/** Makes the session's unnamed statement the server's. */
export function ensureUnnamed(session: Session, server: ServerConnection): void {
  const unnamed = session.prepared.unnamed.statement;
  if (server.prepared.unnamed === unnamed) return;
  const undo = (): void => void (server.prepared.unnamed = unknownStatement);
  server.prepared.unnamed = unnamed;
  // The Parse may be skipped with the rest of its batch, so a later request that uses the unnamed statement waits for the answer.
  session.prepared.namesSent();
  if (unnamed === undefined) {
    // The client must not find another client's statement there.
    return closeSkipped(session, server, '', undo);
  }
  tellExecuted(session, server, unnamed);
  inItsReading(session, server, unnamed, () => {
    server.send(parse('', unnamed.sql, typesOf(unnamed)));
    session.database.stats.serverParses++;
    server.owe(new Answer<AnswerReceiver>(Owed.Parse, session.receiver, true, undefined, undo));
  });
}

/**
 * Before a text that uses names of prepared statements in SQL: gives the server those names.
 * @param isBatch within a batch; otherwise before a Query
 */
export function tellNames(session: Session, server: ServerConnection, plan: Plan, isBatch: boolean): void {
  const receiver = isBatch ? session.receiver : nobody;
  let isTold = !plan.isRead && showsNames(session, plan) && !passesNames(session) && tellAll(session, server, receiver);
  if (session.prepared.all.size > 0) {
    for (const facts of plan.facts.statements) {
      const name = namedIn(facts);
      const statement = name === undefined ? undefined : session.prepared.named(name);
      if (name === undefined || statement === undefined || passesNames(session)) continue;
      isTold = tellName(session, server, name, facts.kind === 'deallocate' ? undefined : statement, receiver) || isTold;
    }
  }
  if (!isTold || isBatch) return;
  server.send(sync);
  server.owe(new Answer<AnswerReceiver>(Owed.Sync, nobody, true));
}

/**
 * The same before the Parse of an EXECUTE, because PostgreSQL looks up the executed statement's result type at that
 * time.
 */
export function tellExecuted(session: Session, server: ServerConnection, { classified }: Statement): void {
  for (const { executes } of classified.facts.statements) {
    if (executes === undefined || passesNames(session)) continue;
    const statement = session.prepared.named(executes);
    if (statement !== undefined) tellName(session, server, executes, statement, session.receiver);
  }
}

/**
 * Prepares `statement` on the server by the client's name. @param statement undefined: a placeholder that can be
 * deallocated
 */
function tellName(
  session: Session,
  server: ServerConnection,
  name: string,
  statement: Statement | undefined,
  receiver: AnswerReceiver,
): boolean {
  const known = session.prepared.ownName(name);
  if (known === 'real' || (known === 'empty' && statement === undefined)) return false;
  if (known === 'empty') {
    server.send(close('S', name));
    server.owe(new Answer<AnswerReceiver>(Owed.Close, receiver, true));
  }
  session.prepared.setOwnName(name, statement === undefined ? 'empty' : 'real');
  const undo = (): void => session.prepared.leaveOwnName(name);
  const send = (): void => {
    // An empty text is accepted even in a failed transaction, and when the table is gone.
    server.send(parse(name, statement?.sql ?? noSql, statement === undefined ? noTypes : typesOf(statement)));
    session.database.stats.serverParses++;
    server.owe(new Answer<AnswerReceiver>(Owed.Parse, receiver, true, undefined, undo));
  };
  if (statement === undefined) send();
  else inItsReading(session, server, statement, send, receiver);
  return true;
}

/** The name of the prepared statement in a DEALLOCATE, PREPARE or EXECUTE. */
function namedIn({ kind, name, executes }: StatementFacts): string | undefined {
  return kind === 'deallocate' || kind === 'prepare' ? name : executes;
}

/** @returns true if the text, or a statement that it executes, shows names of prepared statements */
function showsNames(session: Session, plan: Plan): boolean {
  if (plan.showsNames) return true;
  const isShowing = ({ executes }: StatementFacts): boolean =>
    executes !== undefined && planOf(session, executes)?.showsNames === true;
  return plan.facts.statements.some(isShowing);
}

/** For pg_prepared_statements: gives the server all names of the client, and closes all of Weir's. */
function tellAll(session: Session, server: ServerConnection, receiver: AnswerReceiver): boolean {
  const evicted = session.prepared.takeEvicted();
  for (const serverName of [...server.prepared.list(), ...(evicted ?? [])]) {
    server.send(close('S', serverName));
    const undo = (): void => server.prepared.restore(serverName);
    server.owe(new Answer<AnswerReceiver>(Owed.Close, receiver, true, undefined, undo));
  }
  server.prepared.clear();
  for (const [name, statement] of session.prepared.all) tellName(session, server, name, statement, receiver);
  return true;
}

const nothing = (): void => undefined;
/** Ignores the answers to what Weir sends by itself, which may fail. */
const nobody: AnswerReceiver = {
  relay: nothing,
  completed: nothing,
  errored: nothing,
  noticed: nothing,
  parameterChanged: nothing,
  ready: nothing,
  lost: nothing,
  heldUp: nothing,
  drained: nothing,
};
