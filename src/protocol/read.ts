/**
 * Reads the few messages whose contents Weir needs. The body of a message is passed as (buffer, start, end), without
 * type and length. A body whose inner lengths do not fit is a ProtocolError.
 */
import { isUtf8 } from 'node:buffer';

/** The peer has violated the protocol. Its connection is closed; others are not affected. */
export class ProtocolError extends Error {
  constructor(what: string) {
    super(what);
    this.name = 'ProtocolError';
  }
}

/** So many bytes are looked at one by one, which for the length of a name is faster than a call of indexOf. */
const shortBytes = 32;

/**
 * @returns the index of the first zero byte at or after `start`
 * @throws ProtocolError if there is none before `end`
 */
export function endOfString(buffer: Buffer, start: number, end: number): number {
  const near = Math.min(end, start + shortBytes);
  for (let at = start; at < near; at++) if (buffer[at] === 0) return at;
  const zero = buffer.indexOf(0, near);
  if (zero === -1 || zero >= end) throw new ProtocolError('a string without its end');
  return zero;
}

/**
 * Reads the name/value pairs of a StartupMessage, which follow the version. A name may occur twice; callers use the
 * last value, as PostgreSQL does.
 * @throws ProtocolError
 */
export function readStartupParameters(buffer: Buffer, start: number, end: number): [name: string, value: string][] {
  const parameters: [string, string][] = [];
  let at = start;
  for (;;) {
    if (at >= end) throw new ProtocolError('invalid startup packet layout: expected terminator as last byte');
    if (buffer[at] === 0) break;
    const nameEnd = endOfString(buffer, at, end);
    const valueEnd = endOfString(buffer, nameEnd + 1, end);
    parameters.push([buffer.toString('utf8', at, nameEnd), buffer.toString('utf8', nameEnd + 1, valueEnd)]);
    at = valueEnd + 1;
  }
  if (at !== end - 1) throw new ProtocolError('invalid startup packet layout: expected terminator as last byte');
  return parameters;
}

/**
 * Reads the fields of ErrorResponse or NoticeResponse, by letter: S severity, C SQLSTATE, M message, D detail, H hint
 * ...
 * @param isCut the span is only the beginning of the message: a field without its end is left out
 * @throws ProtocolError unless isCut
 */
export function readErrorFields(buffer: Buffer, start: number, end: number, isCut = false): Map<string, string> {
  const fields = new Map<string, string>();
  let at = start;
  while (at < end && buffer[at] !== 0) {
    if (isCut && !buffer.subarray(at + 1, end).includes(0)) break;
    const valueEnd = endOfString(buffer, at + 1, end);
    fields.set(String.fromCharCode(buffer[at] as number), buffer.toString('utf8', at + 1, valueEnd));
    at = valueEnd + 1;
  }
  return fields;
}

/** The SQLSTATE of an ErrorResponse, without decoding the rest; '' if there is none before `end`. */
export function readSqlstate(buffer: Buffer, start: number, end: number): string {
  let at = start;
  while (at < end && buffer[at] !== 0) {
    const zero = buffer.indexOf(0, at + 1);
    if (zero === -1 || zero >= end) return '';
    if (buffer[at] === 0x43) return buffer.toString('latin1', at + 1, zero);
    at = zero + 1;
  }
  return '';
}

/**
 * @returns the values of a DataRow in text format; null = SQL NULL
 * @throws ProtocolError
 */
export function readDataRow(body: Buffer): (string | null)[] {
  const values: (string | null)[] = [];
  if (body.length < 2) throw new ProtocolError('a row without its number of columns');
  const columns = body.readInt16BE(0);
  let at = 2;
  for (let column = 0; column < columns; column++) {
    if (at + 4 > body.length) throw new ProtocolError('a row that ends before its last column');
    const length = body.readInt32BE(at);
    const end = at + 4 + Math.max(length, 0);
    if (length < -1 || end > body.length) throw new ProtocolError(`a value of ${length} bytes in a shorter row`);
    values.push(length === -1 ? null : body.toString('utf8', at + 4, end));
    at = end;
  }
  return values;
}

/** Reads a message of two strings, such as ParameterStatus. */
export function readPair(buffer: Buffer, start: number, end: number): [string, string] {
  const first = endOfString(buffer, start, end);
  const second = endOfString(buffer, first + 1, end);
  return [buffer.toString('utf8', start, first), buffer.toString('utf8', first + 1, second)];
}

/**
 * The name of a statement or portal in [start, end), without its zero. A name that is not UTF-8 (the client may have
 * another encoding) is returned as a zero character and its bytes, so that different names stay different.
 */
export function readName(buffer: Buffer, start: number, end: number): string {
  if (start === end) return '';
  const name = buffer.toString('utf8', start, end);
  if (!name.includes('\ufffd') || isUtf8(buffer.subarray(start, end))) return name;
  return `\0${buffer.toString('latin1', start, end)}`;
}

/** The bytes of a name from readName(). */
export function bytesOfName(name: string): Buffer {
  return name.startsWith('\0') ? Buffer.from(name.slice(1), 'latin1') : Buffer.from(name);
}

/** Reads the zero-terminated string at `start`. */
export function readString(buffer: Buffer, start: number, end: number): string {
  return buffer.toString('utf8', start, endOfString(buffer, start, end));
}
