/**
 * Statements that Weir answers itself: SET, RESET and SHOW of weir.* names, and SELECT weir_invalidate(), in the simple and in the
 * extended protocol; and errors for weir.* names in set_config() and ALTER ROLE.
 * They never reach a server. A batch is either all of this kind or has none of it.
 */
import { Frontend } from '../../protocol/codes.ts';
import { endOfString, readName } from '../../protocol/read.ts';
import {
  bindComplete,
  closeComplete,
  commandComplete,
  dataRow,
  noData,
  parameterDescription,
  parseComplete,
  rowDescription,
} from '../../protocol/write.ts';
import { WeirError } from '../../errors/errors.ts';
import type { QueryFacts, StatementFacts } from '../../sql/facts.ts';
import type { InvalidateCall } from '../../sql/invalidate-call.ts';
import type { Statement } from '../../session/statements.ts';
import { callsInvalidate, columnOf, invalidate, invalidateCallIn, parametersOf } from './invalidate.ts';
import { readPortal, withoutParameters, type Portal } from './portal.ts';
import { statementName } from '../statement-name.ts';
import type { Session } from '../../session/session.ts';
import type { Message, Request } from '../../session/request.ts';

/** set_config(), or ALTER ROLE or DATABASE ... SET, of a weir.* name: the server would take it, and nothing would happen. */
function misplaced({ kind, verb, name, functions }: StatementFacts): WeirError | undefined {
  const stored = (kind === 'grant' || kind === 'ddl') && name?.startsWith('weir.') === true ? name : undefined;
  if (stored !== undefined) return new WeirError('misplaced_weir_setting', { what: `${verb} ... SET`, name: stored });
  for (const { name: called, firstConstant } of functions) {
    if (called !== 'set_config' || firstConstant?.toLowerCase().startsWith('weir.') !== true) continue;
    return new WeirError('misplaced_weir_setting', { what: 'set_config()', name: firstConstant.toLowerCase() });
  }
  return undefined;
}

/** @throws WeirError if the text sets a weir.* name in a way that only a server has */
function checkPlaces({ statements }: QueryFacts): void {
  for (const statement of statements) {
    const error = misplaced(statement);
    if (error !== undefined) throw error;
  }
}

function isLocalStatement(facts: StatementFacts): boolean {
  if (misplaced(facts) !== undefined || callsInvalidate(facts)) return true;
  if (facts.kind === 'show') return facts.shows?.startsWith('weir.') === true;
  return facts.kind === 'set' && facts.settings.some((change) => change.name.startsWith('weir.'));
}

const known = new WeakMap<QueryFacts, boolean>();

/** @returns true if the text has a statement that only Weir understands */
export function isLocal(facts: QueryFacts): boolean {
  let answer = known.get(facts);
  if (answer === undefined) {
    answer = facts.statements.some(isLocalStatement);
    known.set(facts, answer);
  }
  return answer;
}

/** A text that Weir answers. */
interface Local {
  readonly facts: QueryFacts;
  /** Undefined: it is about a weir.* setting. */
  readonly call: InvalidateCall | undefined;
}

/** @throws WeirError if it is none that Weir can answer */
function read(facts: QueryFacts, sql: Buffer): Local {
  checkPlaces(facts);
  return { facts, call: facts.statements.some(callsInvalidate) ? invalidateCallIn(sql) : undefined };
}

/** Executes such a text. @returns its messages, without RowDescription and ReadyForQuery. @throws WeirError */
function execute(session: Session, { facts, call }: Local, portal: Portal): Buffer {
  if (call !== undefined) return invalidate(session, call, portal);
  const [statement] = facts.statements;
  if (statement === undefined || facts.statements.length > 1) {
    throw new WeirError('not_supported', { what: 'a weir.* setting together with other statements in one text' });
  }
  if (statement.kind === 'show') {
    const name = statement.shows as string;
    return Buffer.concat([dataRow([session.showSetting(name)]), commandComplete('SHOW')]);
  }
  for (const change of statement.settings) {
    if (change.isLocal)
      throw new WeirError('not_supported', {
        what: 'SET LOCAL of a weir.* setting (a comment on the statement does it)',
      });
    session.concerns.preferences.set(change.name, change.plain);
  }
  return commandComplete(statement.verb.startsWith('RESET') ? 'RESET' : 'SET');
}

/** @returns undefined: it has no rows */
function describe({ facts, call }: Local, isBinary: boolean): Buffer | undefined {
  if (call !== undefined) return columnOf(call, isBinary);
  const [statement] = facts.statements;
  return statement?.kind === 'show' ? rowDescription([{ name: statement.shows as string }]) : undefined;
}

/** Answers the whole request; the caller sends the error, if there was one, and ReadyForQuery. */
export function answerLocally(session: Session, request: Request): WeirError | undefined {
  try {
    for (const { facts } of request.plans) checkPlaces(facts);
    if (request.form.locals !== request.plans.length) {
      const isCall = request.plans.some(({ facts }) => facts.statements.some(callsInvalidate));
      const what = isCall ? 'weir_invalidate()' : 'a weir.* setting';
      throw new WeirError('not_supported', { what: `${what} in one batch with other statements` });
    }
    if (request.form.isSimple) {
      answerQuery(session, request);
    } else {
      const portals = new Map<string, OpenPortal>();
      for (const message of request.messages ?? []) answerMessage(session, message, portals);
    }
    return undefined;
  } catch (error) {
    if (!(error instanceof WeirError)) throw error;
    return error;
  }
}

function answerQuery(session: Session, { plans, messages }: Request): void {
  const { buffer, start, end } = messages?.[0] as Message;
  const local = read((plans[0] as Request['plans'][number]).facts, buffer.subarray(start + 5, end - 1));
  // Its error comes without a RowDescription before it.
  const answer = execute(session, local, withoutParameters);
  const rows = describe(local, false);
  if (rows !== undefined) session.say(rows);
  session.say(answer);
}

interface OpenPortal {
  readonly local: Local;
  readonly portal: Portal;
}

function statementOf(session: Session, name: string): Statement {
  const statement = session.prepared.get(name);
  if (statement === undefined) throw new WeirError('statement_not_found', { name });
  return statement;
}

const localOf = ({ classified, sql }: Statement): Local => read(classified.facts, sql);

function answerMessage(session: Session, message: Message, portals: Map<string, OpenPortal>): void {
  const { buffer, start, end } = message;
  switch (message.type) {
    case Frontend.Parse: {
      const nameEnd = endOfString(buffer, start + 5, end);
      const sqlEnd = endOfString(buffer, nameEnd + 1, end);
      const name = readName(buffer, start + 5, nameEnd);
      const sql = buffer.subarray(nameEnd + 1, sqlEnd);
      const types = buffer.subarray(sqlEnd + 1, end);
      read(session.classify(sql).facts, sql);
      if (name === '') session.prepared.unnamed.parse(sql, types);
      else if (session.prepared.named(name) !== undefined) throw new WeirError('statement_exists', { name });
      else session.prepared.enter(name, sql, types);
      return session.say(parseComplete);
    }
    case Frontend.Bind: {
      const portal = readName(buffer, start + 5, endOfString(buffer, start + 5, end));
      const statement = statementOf(session, statementName(message) as string);
      portals.set(portal, { local: localOf(statement), portal: readPortal(message, statement.types) });
      return session.say(bindComplete);
    }
    case Frontend.Describe: {
      const name = readName(buffer, start + 6, endOfString(buffer, start + 6, end));
      if (buffer[start + 5] === 0x53) {
        const statement = statementOf(session, name);
        const local = localOf(statement);
        session.say(local.call === undefined ? parameterDescription([]) : parametersOf(local.call, statement.types));
        return session.say(describe(local, false) ?? noData);
      }
      const open = portals.get(name);
      if (open !== undefined) session.say(describe(open.local, open.portal.isBinary) ?? noData);
      return;
    }
    case Frontend.Execute: {
      const open = portals.get(readName(buffer, start + 5, endOfString(buffer, start + 5, end)));
      if (open !== undefined) session.say(execute(session, open.local, open.portal));
      return;
    }
    case Frontend.Close:
      if (buffer[start + 5] === 0x53)
        session.prepared.leave(readName(buffer, start + 6, endOfString(buffer, start + 6, end)));
      return session.say(closeComplete);
    default:
  }
}
