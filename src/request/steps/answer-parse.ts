/**
 * Answers a Parse without a server, if a server has prepared the text before for the same user, settings and catalog;
 * likewise a Describe after it. The client need not wait, and its later Bind goes to a server that has the statement
 * or prepares it. Called by handle-request.ts for a session that has no server.
 */
import { Frontend, TxStatus } from '../../protocol/codes.ts';
import { endOfString, readName } from '../../protocol/read.ts';
import { parseComplete } from '../../protocol/write.ts';
import type { Route } from '../../routing/types.ts';
import { answered } from '../answered.ts';
import { borrow } from '../prepared/borrowed.ts';
import type { Session } from '../../session/session.ts';
import { passesNames } from '../prepared/names.ts';
import type { Message, Request } from '../../session/request.ts';

/** Parse, with or without Describe of the statement, any number of times. */
const preparesOnly = /^(?:PS?)+$/;

const answeredByWeir: Route = {
  node: undefined,
  isFallback: false,
  why: () => 'prepared before by a server: answered without one',
};

interface Prepared {
  readonly name: string;
  readonly sql: Buffer;
  readonly types: Buffer;
  /** ParameterDescription and RowDescription or NoData. */
  readonly frames: Buffer | undefined;
  isDescribed: boolean;
}

/** @returns true if the request was answered */
export function preparesAtOnce(session: Session, request: Request): boolean {
  if (
    request.form.executes ||
    !request.isComplete ||
    session.status !== TxStatus.Idle ||
    !preparesOnly.test(request.form.shape)
  )
    return false;
  // Without a known catalog, a table may be gone or be another one.
  if (passesNames(session) || session.database.topology.catalog() === undefined) return false;
  const answers: Buffer[] = [];
  const statements = new Map<string, Prepared>();
  for (const message of request.messages ?? []) {
    const answer = answerTo(session, message, statements);
    if (answer === undefined) return false;
    answers.push(answer);
  }
  for (const { name, sql, types, isDescribed } of statements.values()) {
    session.prepared.enter(name, sql, types);
    if (!isDescribed) borrow(session, name);
  }
  for (const answer of answers) session.say(answer);
  request.target.route = answeredByWeir;
  answered(session, request);
  return true;
}

const nothing = Buffer.alloc(0);

/** @returns undefined if only a server can answer */
function answerTo(session: Session, message: Message, statements: Map<string, Prepared>): Buffer | undefined {
  if (message.type === Frontend.Sync) return nothing;
  const { buffer, start, end } = message;
  if (message.type === Frontend.Describe) {
    const nameEnd = endOfString(buffer, start + 6, end);
    const prepared = statements.get(readName(buffer, start + 6, nameEnd));
    if (prepared === undefined) return undefined;
    prepared.isDescribed = true;
    return prepared.frames;
  }
  if (message.type !== Frontend.Parse) return undefined;
  const nameEnd = endOfString(buffer, start + 5, end);
  const sqlEnd = endOfString(buffer, nameEnd + 1, end);
  const name = readName(buffer, start + 5, nameEnd);
  const isTaken =
    session.prepared.named(name) !== undefined || session.prepared.ownName(name) !== undefined || statements.has(name);
  if (name === '' || isTaken) return undefined;
  const sql = buffer.subarray(nameEnd + 1, sqlEnd);
  const types = buffer.subarray(sqlEnd + 1, end);
  const description = session.prepared.known(sql, types)?.description;
  if (description === undefined) return undefined;
  statements.set(name, { name, sql, types, frames: description.frames, isDescribed: false });
  return parseComplete;
}
