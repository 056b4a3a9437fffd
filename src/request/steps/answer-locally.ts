/**
 * Statements that Weir answers itself: SET, RESET and SHOW of weir.* names, in the simple and in the extended protocol, and
 * errors for weir.* names in set_config() and ALTER ROLE.
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
  if (misplaced(facts) !== undefined) return true;
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

/** Executes such a text. @returns its messages, without RowDescription and ReadyForQuery. @throws WeirError */
function execute(session: Session, facts: QueryFacts): { columns: string[]; answer: Buffer } {
  checkPlaces(facts);
  const [statement] = facts.statements;
  if (statement === undefined || facts.statements.length > 1) {
    throw new WeirError('not_supported', { what: 'a weir.* setting together with other statements in one text' });
  }
  if (statement.kind === 'show') {
    const name = statement.shows as string;
    return { columns: [name], answer: Buffer.concat([dataRow([session.showSetting(name)]), commandComplete('SHOW')]) };
  }
  for (const change of statement.settings) {
    if (change.isLocal)
      throw new WeirError('not_supported', {
        what: 'SET LOCAL of a weir.* setting (a comment on the statement does it)',
      });
    session.concerns.preferences.set(change.name, change.plain);
  }
  return { columns: [], answer: commandComplete(statement.verb.startsWith('RESET') ? 'RESET' : 'SET') };
}

function columnsOf(facts: QueryFacts): string[] {
  const [statement] = facts.statements;
  return statement?.kind === 'show' ? [statement.shows as string] : [];
}

function describe(facts: QueryFacts): Buffer {
  const columns = columnsOf(facts);
  return columns.length === 0 ? noData : rowDescription(columns.map((name) => ({ name })));
}

/** Answers the whole request; the caller sends the error, if there was one, and ReadyForQuery. */
export function answerLocally(session: Session, request: Request): WeirError | undefined {
  try {
    for (const { facts } of request.plans) checkPlaces(facts);
    if (request.form.locals !== request.plans.length) {
      throw new WeirError('not_supported', { what: 'a weir.* setting in one batch with other statements' });
    }
    if (request.form.isSimple) {
      const { facts } = request.plans[0] as Request['plans'][number];
      const { columns, answer } = execute(session, facts);
      if (columns.length > 0) session.say(describe(facts));
      session.say(answer);
    } else {
      const portals = new Map<string, QueryFacts>();
      for (const message of request.messages ?? []) answerMessage(session, message, portals);
    }
    return undefined;
  } catch (error) {
    if (!(error instanceof WeirError)) throw error;
    return error;
  }
}

function factsOf(session: Session, name: string): QueryFacts {
  const facts = session.prepared.get(name)?.classified.facts;
  if (facts === undefined) throw new WeirError('statement_not_found', { name });
  return facts;
}

function answerMessage(session: Session, message: Message, portals: Map<string, QueryFacts>): void {
  const { buffer, start, end } = message;
  switch (message.type) {
    case Frontend.Parse: {
      const nameEnd = endOfString(buffer, start + 5, end);
      const sqlEnd = endOfString(buffer, nameEnd + 1, end);
      const name = readName(buffer, start + 5, nameEnd);
      const sql = buffer.subarray(nameEnd + 1, sqlEnd);
      const types = buffer.subarray(sqlEnd + 1, end);
      checkPlaces(session.classify(sql).facts);
      if (name === '') session.prepared.unnamed.parse(sql, types);
      else if (session.prepared.named(name) !== undefined) throw new WeirError('statement_exists', { name });
      else session.prepared.enter(name, sql, types);
      return session.say(parseComplete);
    }
    case Frontend.Bind: {
      const portal = readName(buffer, start + 5, endOfString(buffer, start + 5, end));
      portals.set(portal, factsOf(session, statementName(message) as string));
      return session.say(bindComplete);
    }
    case Frontend.Describe: {
      const name = readName(buffer, start + 6, endOfString(buffer, start + 6, end));
      if (buffer[start + 5] === 0x53) {
        session.say(parameterDescription([]));
        return session.say(describe(factsOf(session, name)));
      }
      const facts = portals.get(name);
      if (facts !== undefined) session.say(describe(facts));
      return;
    }
    case Frontend.Execute: {
      const facts = portals.get(readName(buffer, start + 5, endOfString(buffer, start + 5, end)));
      if (facts !== undefined) session.say(execute(session, facts).answer);
      return;
    }
    case Frontend.Close:
      if (buffer[start + 5] === 0x53)
        session.prepared.leave(readName(buffer, start + 6, endOfString(buffer, start + 6, end)));
      return session.say(closeComplete);
    default:
  }
}
