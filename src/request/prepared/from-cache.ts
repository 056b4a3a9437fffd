/** A batch was answered from the cache: enters the statements that it has parsed, as if a server had prepared them. */
import { readName } from '../../protocol/read.ts';
import { resultTypeIn } from '../../protocol/description.ts';
import type { Session } from '../../session/session.ts';
import type { Message } from '../../session/request.ts';

/** @param parts the cached answer, which may have the result type of the statement in it */
export function enterParsed(session: Session, message: Message, parts: readonly Buffer[]): void {
  const { buffer, start, end } = message;
  const nameEnd = buffer.indexOf(0, start + 5);
  const sqlEnd = buffer.indexOf(0, nameEnd + 1);
  const sql = buffer.subarray(nameEnd + 1, sqlEnd);
  const types = buffer.subarray(sqlEnd + 1, end);
  const name = readName(buffer, start + 5, nameEnd);
  if (name === '') session.prepared.unnamed.parse(sql, types);
  else enterAs(session, resultTypeIn(parts), name, sql, types);
}

/** @param resultType from the cached answer; undefined: it is not in there */
function enterAs(session: Session, resultType: string | undefined, name: string, sql: Buffer, types: Buffer): void {
  const statement = session.prepared.enter(name, sql, types);
  if (resultType === undefined) return;
  const description = { resultType, parameters: undefined };
  statement.description ??= description;
  if (statement.description.resultType === resultType) return;
  // The catalog has changed since others prepared this text, so theirs is another statement.
  session.services.book.catalogChanged();
  session.prepared.leave(name);
  session.prepared.enter(name, sql, types).description = description;
}
