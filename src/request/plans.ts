/**
 * Makes plans of a client's messages: which statements they execute, and what those may do. Adds them to a Request.
 */
import { Frontend } from '../protocol/codes.ts';
import { endOfString, readName } from '../protocol/read.ts';
import type { Classified, StatementFacts } from '../sql/facts.ts';
import type { Plan } from '../binding/plan.ts';
import { readTraceComment } from '../sql/trace-comment.ts';
import type { Session } from '../session/session.ts';
import type { Statement } from '../session/statements.ts';
import { isPiece, type Message, type Request } from '../session/request.ts';
import { isLocal } from './steps/answer-locally.ts';
import { statementName } from './statement-name.ts';
import { unknownPath } from '../session/reading.ts';

/** The plan for a classified text, in this session's catalog and search_path. */
export function bindFor(session: Session, classified: Classified, request?: Request): Plan {
  const { database, services } = session;
  const { role, searchPath: known } = session.state.reading;
  const searchPath = isReadingUnsure(session, request) ? unknownPath : known;
  // The user that "$user" in the search_path stands for.
  const user = role ?? database.serverUser(session.user);
  const { facts } = classified;
  // The catalog does not show yet what the session's own transaction has changed.
  if (session.concerns.writes.changesCatalog) return services.binder.bindAfterDdl(facts, undefined, searchPath, user);
  const catalog = database.topology.catalog();
  const last = catalog === undefined ? database.topology.lastCatalog() : undefined;
  if (last !== undefined) return services.binder.bindAfterDdl(facts, last, searchPath, user);
  return services.binder.bind(facts, catalog, searchPath, user);
}

/** @returns true if a request in flight may change the search_path, or may fail to */
function isReadingUnsure({ inFlight }: Session, request: Request | undefined): boolean {
  if (request?.planned.changesReading === true) return true;
  for (let i = 0; i < inFlight.length; i++) if (inFlight.at(i)?.planned.changesReading === true) return true;
  return false;
}

/**
 * @param name the client's name of a prepared statement
 * @returns its plan; undefined: there is no such statement (the server will report it)
 */
export function planOf(session: Session, name: string): Plan | undefined {
  const classified = classifiedOf(session, name);
  return classified === undefined ? undefined : bindFor(session, classified);
}

/** A statement made with SQL PREPARE may do anything, like EXECUTE. */
function classifiedOf(session: Session, name: string): Classified | undefined {
  const { services, prepared } = session;
  return prepared.get(name)?.classified ?? (prepared.ownName(name) === undefined ? undefined : services.sqlPrepared);
}

function add(session: Session, request: Request, classified: Classified): void {
  const plan = bindFor(session, classified, request);
  request.addPlan(plan);
  // A text that could not be read may be a COPY.
  if (classified.facts.unreadVerb !== undefined || classified === session.services.functionCall)
    request.planned.noteCopyIn();
  if (plan.hasEffects && plan.facts.statements.some(changesNames)) request.names.makes = request.names.needs = true;
  request.hints ??= classified.hints;
  if (isLocal(classified.facts)) request.form.locals++;
}

function changesNames({ kind, discards, executes }: StatementFacts): boolean {
  return kind === 'prepare' || kind === 'deallocate' || executes !== undefined || discards === 'all';
}

/** Statements parsed in the batch being gathered, by name. Not entered yet, because the batch may fail. */
function pendingOf(request: Request, name: string): Classified | undefined {
  return request.names.parsed?.get(name);
}

/**
 * Adds the plans of `message` to the request.
 * @throws ProtocolError if the message is malformed: before anything is sent, so that no server gets half of a request
 */
export function notePlan(session: Session, request: Request, message: Message): void {
  const { buffer, start, end } = message;
  switch (message.type) {
    case Frontend.Query:
      return noteQuery(session, request, message);
    case Frontend.Parse:
      return noteParse(session, request, message);
    case Frontend.Bind:
      session.database.stats.binds++;
      request.form.note(buffer[start + 5] === 0 ? 'B' : 'b');
      return noteUse(session, request, statementName(message) as string);
    case Frontend.Describe: {
      const name = statementName(message);
      request.form.note(name === undefined ? 'D' : 'S');
      if (name === undefined) return void endOfString(buffer, start + 6, end);
      return noteUse(session, request, name);
    }
    case Frontend.Execute:
      notePortal(session, request, readName(buffer, start + 5, endOfString(buffer, start + 5, end)));
      request.form.note(end - start >= 9 && buffer.readInt32BE(end - 4) === 0 ? 'E' : 'e');
      return;
    case Frontend.Close:
      endOfString(buffer, start + 6, end);
      request.form.note('C');
      if (buffer[start + 5] === 0x53) request.names.makes = true;
      return;
    case Frontend.FunctionCall:
      // It calls any function by its OID, so anything may be written.
      request.form.note('F');
      return add(session, request, session.services.functionCall);
    default:
  }
}

/** Only a text that comes with the request: one that was prepared before may say the trace of another call. */
function noteTrace({ services }: Session, request: Request, sql: Buffer): void {
  if (services.statements.active?.readsTraces === true) request.trace ??= readTraceComment(sql);
}

function noteQuery(session: Session, request: Request, message: Message): void {
  const { buffer, start, end } = message;
  request.form.note('Q');
  // Only the beginning of the text is here, so it may do anything.
  if (isPiece(message)) return add(session, request, session.services.unread.ofPiece(buffer.subarray(start + 5, end)));
  const sql = buffer.subarray(start + 5, Math.max(start + 5, end - 1));
  noteTrace(session, request, sql);
  add(session, request, session.classify(sql));
}

function noteParse(session: Session, request: Request, { buffer, start, end }: Message): void {
  session.database.stats.clientParses++;
  const nameEnd = endOfString(buffer, start + 5, end);
  const sqlEnd = endOfString(buffer, nameEnd + 1, end);
  const sql = buffer.subarray(nameEnd + 1, sqlEnd);
  noteTrace(session, request, sql);
  const classified = session.classify(sql);
  const name = readName(buffer, start + 5, nameEnd);
  const { prepared } = session;
  (request.names.parsed ??= new Map()).set(name, classified);
  request.names.makes = true;
  if (name !== '' && (prepared.named(name) !== undefined || prepared.hasNamesInFlight)) request.names.needs = true;
  request.form.note('P');
  // Describe needs the right catalog, too, so a Parse alone is routed like an execution.
  add(session, request, classified);
}

/** Execute of a portal that an earlier request of the transaction has bound. */
function notePortal(session: Session, request: Request, name: string): void {
  if (name === '' && request.form.bindsUnnamed) return;
  const plan = session.prepared.portal(name);
  if (plan !== undefined && !request.hasPlan(plan)) request.addPlan(plan);
}

/**
 * @returns true if a Parse of the statement, by the client or by Weir, is unanswered: it may turn out not to be
 * executed
 */
function isUnsure(session: Session, statement: Statement): boolean {
  if (!session.prepared.hasNamesInFlight) return false;
  for (let i = 0; i < session.inFlight.length; i++) {
    const request = session.inFlight.at(i);
    if (request?.attempt.prepared?.has(statement) === true) return true;
    if (request?.attempt.entered?.some(([, entered]) => entered === statement) === true) return true;
  }
  return false;
}

function noteUse(session: Session, request: Request, name: string): void {
  if (pendingOf(request, name) !== undefined) return;
  const statement = session.prepared.get(name);
  request.names.uses = statement;
  if (name === '' || statement === undefined || isUnsure(session, statement)) request.names.needs = true;
  const classified = classifiedOf(session, name);
  if (classified !== undefined) add(session, request, classified);
}
