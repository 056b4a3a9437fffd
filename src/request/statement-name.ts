/**
 * The name of the statement that a Bind or Describe uses. Several steps of a request need it, so it is read once and kept
 * with the message.
 */
import { Frontend } from '../protocol/codes.ts';
import { endOfString, readName } from '../protocol/read.ts';
import type { Message } from '../session/request.ts';

/**
 * @returns the name in a Bind, or in a Describe of a statement; undefined: it is another message
 * @throws ProtocolError if the message is malformed
 */
export function statementName(message: Message): string | undefined {
  return (message.statementName ??= read(message));
}

function read({ type, buffer, start, end }: Message): string | undefined {
  let at = start + 5;
  if (type === Frontend.Bind) at = endOfString(buffer, at, end) + 1;
  else if (type === Frontend.Describe && buffer[at] === 0x53 /* S */) at++;
  else return undefined;
  return readName(buffer, at, endOfString(buffer, at, end));
}
