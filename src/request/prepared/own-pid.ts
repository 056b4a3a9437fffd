/**
 * The pid that a client got at log-in is Weir's own number, which PostgreSQL does not know. If the client passes it to
 * pg_terminate_backend() or the like, it is replaced by the pid of the server that will run the statement. Pids of
 * other clients are not replaced: their server may have another user by the time the statement runs. Called by
 * forward.ts.
 */
import { Frontend } from '../../protocol/codes.ts';
import { endOfString } from '../../protocol/read.ts';
import type { ServerConnection } from '../../backend/server.ts';
import { readValues, type BoundValue } from './bound-settings.ts';
import type { Session } from '../../session/session.ts';
import { passesNames } from './names.ts';
import { replaced } from './replaced.ts';
import { statementName } from '../statement-name.ts';
import { isPiece, type Message, type Request } from '../../session/request.ts';

/**
 * Matches strings, quoted names and comments first, so that no call is found inside them; then calls with their first
 * argument.
 */
const calls =
  /--[^\n]*|\/\*[^]*?\*\/|\be'(?:[^'\\]|''|\\[^])*'|'(?:[^']|'')*'|"(?:[^"]|"")*"|\$([a-z_]\w*)?\$[^]*?\$\1\$|(?<head>\bpg_(?<what>\w+)\s*\(\s*(?:pid\s*(?:=>|:=)\s*)?'?)(?<pid>\$?\d+)'?/gi;

interface Call {
  readonly what: string;
  /** Digits, or the number of a parameter behind a $. */
  readonly pid: string;
  /** Index of `pid` in the text. */
  readonly start: number;
}

function callsIn(sql: string): Call[] {
  return [...sql.matchAll(calls)].flatMap(({ index, groups }) => {
    const { head = '', what = '', pid } = groups ?? {};
    return pid === undefined ? [] : [{ what: what.toLowerCase(), pid, start: index + head.length }];
  });
}

/** The message with the server's pid in place of the client's own; the same message if that is not in it. */
export function withServerPid(session: Session, server: ServerConnection, request: Request, message: Message): Message {
  const { type, buffer, start, end } = message;
  if (isPiece(message)) return message;
  if (type === Frontend.Query) return inText(session, server, request, message, start + 5, end - 1);
  if (type === Frontend.Parse) {
    const nameEnd = endOfString(buffer, start + 5, end);
    // A named statement is shared with all clients that prepare the same text.
    if (nameEnd > start + 5 && !passesNames(session)) return message;
    return inText(session, server, request, message, nameEnd + 1, endOfString(buffer, nameEnd + 1, end));
  }
  return type === Frontend.Bind ? inValues(session, server, request, message) : message;
}

function inText(
  session: Session,
  server: ServerConnection,
  request: Request,
  message: Message,
  from: number,
  to: number,
): Message {
  const own = String(session.identity.id);
  const sql = message.buffer.toString('latin1', from, to);
  let changed = message;
  // From the end, so that earlier indexes stay valid.
  for (const { what, pid, start } of callsIn(sql).reverse()) {
    if (pid !== own) continue;
    noteCall(request, what);
    const at = changed.start + from - message.start + start;
    changed = replaced(changed, at, at + pid.length, Buffer.from(String(server.processId)));
  }
  return changed;
}

function inValues(session: Session, server: ServerConnection, request: Request, message: Message): Message {
  const { buffer, start } = message;
  const statement = session.prepared.get(statementName(message) as string);
  const values = readValues(message);
  if (statement === undefined || values === undefined) return message;
  const places = new Map<number, BoundValue>();
  for (const { what, pid } of callsIn(statement.sql.toString('latin1'))) {
    const number = pid.startsWith('$') ? Number(pid.slice(1)) : 0;
    const value = values[number - 1];
    if (value === undefined || !isPid(value, session.identity.id)) continue;
    noteCall(request, what);
    places.set(number, value);
  }
  let changed = message;
  for (const [, value] of [...places].sort(([one], [other]) => other - one)) {
    const bytes = value.bytes as Buffer;
    const place = bytes.byteOffset - buffer.byteOffset - start;
    const put = pidLike(value, server.processId);
    changed = replaced(changed, changed.start + place, changed.start + place + bytes.length, put);
    changed.buffer.writeInt32BE(put.length, place - 4);
  }
  return changed;
}

/** If the client terminates its own backend, it loses its connection, as it expects. */
function noteCall(request: Request, what: string): void {
  if (what === 'terminate_backend') request.attempt.endsSession = true;
}

function isPid({ bytes, isBinary }: BoundValue, pid: number): boolean {
  if (bytes === undefined) return false;
  return isBinary ? bytes.length === 4 && bytes.readInt32BE() === pid : bytes.toString('latin1') === String(pid);
}

/** `pid` in the format of `value`. */
function pidLike({ isBinary }: BoundValue, pid: number): Buffer {
  if (!isBinary) return Buffer.from(String(pid));
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(pid);
  return bytes;
}
