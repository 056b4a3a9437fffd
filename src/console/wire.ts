/**
 * Protocol messages of the admin console: writes RowDescription and DataRow, in text or (for JDBC, pgx, asyncpg) binary
 * format as Bind demands, and reads Parse, Bind, Describe, Close and Execute. Called by session.ts and extended.ts.
 * Source: PostgreSQL manual, "Message Formats"; typsend functions.
 */
import { Backend } from '../protocol/codes.ts';
import { ProtocolError, endOfString } from '../protocol/read.ts';
import { dataRow, frame, strings } from '../protocol/write.ts';
import type { ConsoleColumn, Value } from './types.ts';

const types = {
  text: { oid: 25, size: -1 },
  int4: { oid: 23, size: 4 },
  int8: { oid: 20, size: 8 },
  float8: { oid: 701, size: 8 },
  numeric: { oid: 1700, size: -1 },
} as const;

/** Result format codes of Bind, 0 = text, 1 = binary: none = all text, one = for all columns, else one per column. */
export type Formats = readonly number[];

function isBinary(formats: Formats, column: number): boolean {
  return (formats.length === 1 ? formats[0] : formats[column]) === 1;
}

export function describeRows(columns: readonly ConsoleColumn[], formats: Formats): Buffer {
  const count = Buffer.alloc(2);
  count.writeInt16BE(columns.length);
  const parts: Buffer[] = [count];
  columns.forEach((column, index) => {
    const fixed = Buffer.alloc(18);
    fixed.writeInt32BE(types[column.type].oid, 6);
    fixed.writeInt16BE(types[column.type].size, 10);
    fixed.writeInt32BE(-1, 12);
    fixed.writeInt16BE(isBinary(formats, index) ? 1 : 0, 16);
    parts.push(strings(column.name), fixed);
  });
  return frame(Backend.RowDescription, Buffer.concat(parts));
}

export function encodeRow(values: readonly Value[], columns: readonly ConsoleColumn[], formats: Formats): Buffer {
  const clean = values.map((value) => (typeof value === 'string' ? value.replaceAll('\0', '?') : value));
  if (!formats.includes(1)) return dataRow(clean);
  const count = Buffer.alloc(2);
  count.writeInt16BE(clean.length);
  const parts: Buffer[] = [count];
  clean.forEach((value, index) => {
    const column = columns[index];
    const bytes = value === null ? undefined : encodeValue(value, column, isBinary(formats, index));
    const length = Buffer.alloc(4);
    length.writeInt32BE(bytes === undefined ? -1 : bytes.length);
    parts.push(length);
    if (bytes !== undefined) parts.push(bytes);
  });
  return frame(Backend.DataRow, Buffer.concat(parts));
}

function encodeValue(value: string | number, column: ConsoleColumn | undefined, binary: boolean): Buffer {
  if (!binary || column === undefined || column.type === 'text') return Buffer.from(String(value), 'utf8');
  if (column.type === 'numeric') return numericOf(Math.round(Number(value)));
  const bytes = Buffer.alloc(types[column.type].size);
  if (column.type === 'int4') bytes.writeInt32BE(Math.min(Math.round(Number(value)), 0x7fffffff));
  else if (column.type === 'int8') bytes.writeBigInt64BE(BigInt(Math.round(Number(value))));
  else bytes.writeDoubleBE(Number(value));
  return bytes;
}

/** As numeric_send() writes a whole number: digits to the base of 10000, the highest first. */
function numericOf(value: number): Buffer {
  const digits: number[] = [];
  for (let rest = Math.abs(value); rest > 0; rest = Math.floor(rest / 10_000)) digits.unshift(rest % 10_000);
  const bytes = Buffer.alloc(8 + 2 * digits.length);
  bytes.writeInt16BE(digits.length, 0);
  bytes.writeInt16BE(Math.max(0, digits.length - 1), 2);
  bytes.writeUInt16BE(value < 0 ? 0x4000 : 0, 4);
  digits.forEach((digit, index) => bytes.writeInt16BE(digit, 8 + 2 * index));
  return bytes;
}

export interface ParseMessage {
  readonly name: string;
  readonly sql: string;
}

export function readParse(body: Buffer): ParseMessage {
  const nameEnd = endOfString(body, 0, body.length);
  const sqlEnd = endOfString(body, nameEnd + 1, body.length);
  return { name: body.toString('utf8', 0, nameEnd), sql: body.toString('utf8', nameEnd + 1, sqlEnd) };
}

export interface BindMessage {
  readonly portal: string;
  readonly statement: string;
  readonly parameters: number;
  readonly formats: Formats;
}

export function readBind(body: Buffer): BindMessage {
  const portalEnd = endOfString(body, 0, body.length);
  const statementEnd = endOfString(body, portalEnd + 1, body.length);
  let at = statementEnd + 1;
  const int16 = (): number => {
    if (at + 2 > body.length) throw new ProtocolError('Bind is cut off');
    at += 2;
    return body.readUInt16BE(at - 2);
  };
  const parameterFormats = int16();
  at += 2 * parameterFormats;
  const parameters = int16();
  for (let i = 0; i < parameters; i++) {
    if (at + 4 > body.length) throw new ProtocolError('Bind is cut off');
    at += 4 + Math.max(0, body.readInt32BE(at));
  }
  const count = int16();
  if (at + 2 * count > body.length) throw new ProtocolError('Bind is cut off');
  const formats = Array.from({ length: count }, () => int16());
  return {
    portal: body.toString('utf8', 0, portalEnd),
    statement: body.toString('utf8', portalEnd + 1, statementEnd),
    parameters,
    formats,
  };
}

/** Reads the body of Describe or Close: a statement ('S') or a portal ('P'). */
export function readTarget(body: Buffer): { readonly kind: 'S' | 'P'; readonly name: string } {
  const kind = String.fromCharCode(body[0] ?? 0);
  if (kind !== 'S' && kind !== 'P') throw new ProtocolError('Describe or Close of neither a statement nor a portal');
  return { kind, name: body.toString('utf8', 1, endOfString(body, 1, body.length)) };
}

export function readExecute(body: Buffer): { readonly portal: string; readonly maxRows: number } {
  const end = endOfString(body, 0, body.length);
  if (end + 5 > body.length) throw new ProtocolError('Execute is cut off');
  return { portal: body.toString('utf8', 0, end), maxRows: Math.max(0, body.readInt32BE(end + 1)) };
}

export interface Frame {
  readonly type: number;
  readonly body: Buffer;
}

/** Splits a stream of bytes into messages. A length that is too large is refused before its bytes are kept. */
export class MessageSplitter {
  private readonly maxLength: number;
  private chunks: Buffer[] = [];
  private held = 0;

  constructor(maxLength: number) {
    this.maxLength = maxLength;
  }

  get heldBytes(): number {
    return this.held;
  }

  push(chunk: Buffer): void {
    if (chunk.length === 0) return;
    this.chunks.push(chunk);
    this.held += chunk.length;
  }

  /**
   * @returns the next message; undefined if it has not arrived completely
   * @throws ProtocolError for a length out of range
   */
  next(): Frame | undefined {
    if (this.held < 5) return undefined;
    const head = this.joined(5);
    const length = head.readInt32BE(1);
    if (length < 4 || length > this.maxLength) {
      throw new ProtocolError(`a message of ${length} bytes; the admin console takes from 4 to ${this.maxLength}`);
    }
    if (this.held < length + 1) return undefined;
    const whole = this.joined(length + 1);
    this.chunks[0] = whole.subarray(length + 1);
    this.held -= length + 1;
    if (this.chunks[0].length === 0) this.chunks.shift();
    return { type: whole[0] as number, body: whole.subarray(5, length + 1) };
  }

  /** The first chunk, at least `bytes` long. Joins all chunks if it has to, so once per message. */
  private joined(bytes: number): Buffer {
    const first = this.chunks[0] as Buffer;
    if (first.length >= bytes) return first;
    const all = Buffer.concat(this.chunks);
    this.chunks = [all];
    return all;
  }
}
