/**
 * Makes the messages that Weir itself sends, not those that it only relays. Every function returns one or more whole
 * frames. Messages from a client are serialized by the package pg-protocol, which has none from a server. Source:
 * PostgreSQL manual, "Message Formats".
 */
import { serialize } from 'pg-protocol';
import { Backend, Frontend, AuthCode, Request } from './codes.ts';
import { bytesOfName, endOfString } from './read.ts';
import type { WeirError } from '../errors/errors.ts';

const noBytes = Buffer.alloc(0);

/** One frame: type byte, length, body. */
export function frame(type: number, body: Buffer = noBytes): Buffer {
  const out = Buffer.allocUnsafe(5 + body.length);
  out[0] = type;
  out.writeInt32BE(4 + body.length, 1);
  body.copy(out, 5);
  return out;
}

/** Zero-terminated strings, concatenated. */
export function strings(...texts: readonly string[]): Buffer {
  return Buffer.from(texts.map((text) => `${text}\0`).join(''), 'utf8');
}

function int16(value: number): Buffer {
  const out = Buffer.allocUnsafe(2);
  out.writeInt16BE(value, 0);
  return out;
}

function int32(value: number): Buffer {
  const out = Buffer.allocUnsafe(4);
  out.writeInt32BE(value, 0);
  return out;
}

/* ---- server to client ---- */

const bare = (type: number): Buffer => frame(type);

/** Messages without a body. Shared: the buffers must not be changed. */
export const parseComplete = bare(Backend.ParseComplete);
export const bindComplete = bare(Backend.BindComplete);
export const closeComplete = bare(Backend.CloseComplete);
export const noData = bare(Backend.NoData);
export const emptyQueryResponse = bare(Backend.EmptyQueryResponse);
export const authenticationOk = frame(Backend.Authentication, int32(AuthCode.Ok));

const ready = {
  I: frame(Backend.ReadyForQuery, Buffer.from('I')),
  T: frame(Backend.ReadyForQuery, Buffer.from('T')),
  E: frame(Backend.ReadyForQuery, Buffer.from('E')),
};

/** @param status I: idle, T: in a transaction block, E: in a failed transaction block */
export function readyForQuery(status: 'I' | 'T' | 'E'): Buffer {
  return ready[status];
}

export interface ErrorFields {
  readonly severity: string;
  readonly sqlstate: string;
  readonly message: string;
  readonly detail?: string | undefined;
  readonly hint?: string | undefined;
  /** The location in PostgreSQL's source: some drivers recognize an error by it. */
  readonly file?: string | undefined;
  readonly routine?: string | undefined;
}

function errorBody(fields: ErrorFields): Buffer {
  const parts = [`S${fields.severity}`, `V${fields.severity}`, `C${fields.sqlstate}`, `M${fields.message}`];
  if (fields.detail !== undefined) parts.push(`D${fields.detail}`);
  if (fields.hint !== undefined) parts.push(`H${fields.hint}`);
  if (fields.file !== undefined) parts.push(`F${fields.file}`);
  if (fields.routine !== undefined) parts.push(`R${fields.routine}`);
  return Buffer.concat([strings(...parts.map((part) => part.replaceAll('\0', '?'))), Buffer.from([0])]);
}

/** ErrorResponse; a WeirError is an ErrorFields. */
export function errorResponse(fields: ErrorFields | WeirError): Buffer {
  return frame(Backend.ErrorResponse, errorBody(fields));
}

export function noticeResponse(fields: ErrorFields): Buffer {
  return frame(Backend.NoticeResponse, errorBody(fields));
}

/** The ErrorResponse in buffer[start, end) with the first occurrence of `from` replaced by `to`. */
export function renamedError(
  buffer: Buffer,
  start: number,
  end: number,
  [from, to]: readonly [from: string, to: string],
): Buffer {
  const whole = buffer.subarray(start, end);
  const at = whole.indexOf(from, 5, 'utf8');
  if (at === -1) return whole;
  const rest = whole.subarray(at + Buffer.byteLength(from));
  return frame(Backend.ErrorResponse, Buffer.concat([whole.subarray(5, at), bytesOfName(to), rest]));
}

/**
 * Turns an ErrorResponse or NoticeResponse into an ErrorResponse with severity ERROR; the other fields are kept.
 * @param message the whole frame
 * @param hint added as a hint
 */
export function toldAsError(message: Buffer, hint: string | undefined): Buffer {
  const parts: Buffer[] = [];
  for (let at = 5; at < message.length && message[at] !== 0;) {
    const fieldEnd = endOfString(message, at + 1, message.length) + 1;
    const letter = String.fromCharCode(message[at] as number);
    parts.push(letter === 'S' || letter === 'V' ? strings(`${letter}ERROR`) : message.subarray(at, fieldEnd));
    at = fieldEnd;
  }
  if (hint !== undefined) parts.push(strings(`H${hint}`));
  return frame(Backend.ErrorResponse, Buffer.concat([...parts, Buffer.from([0])]));
}

export function parameterStatus(name: string, value: string): Buffer {
  return frame(Backend.ParameterStatus, strings(name, value));
}

/** @param secret 4 bytes in protocol 3.0, up to 256 in 3.2 */
export function backendKeyData(processId: number, secret: Buffer): Buffer {
  return frame(Backend.BackendKeyData, Buffer.concat([int32(processId), secret]));
}

/** @param tag for example "SELECT 3" */
export function commandComplete(tag: string): Buffer {
  return frame(Backend.CommandComplete, strings(tag));
}

/** A column of a result that Weir makes, in text format. `typeOid`: 25 = text (the default), 20 = int8, 23 = int4. */
export interface Column {
  readonly name: string;
  readonly typeOid?: number;
  /** Its values are in binary format. */
  readonly isBinary?: boolean;
}

export function rowDescription(columns: readonly Column[]): Buffer {
  const parts: Buffer[] = [int16(columns.length)];
  for (const column of columns) {
    const typeOid = column.typeOid ?? 25;
    const fixed = Buffer.alloc(18);
    fixed.writeInt32BE(typeOid, 6);
    fixed.writeInt16BE(typeOid === 20 ? 8 : typeOid === 23 ? 4 : -1, 10);
    fixed.writeInt32BE(-1, 12);
    fixed.writeInt16BE(column.isBinary === true ? 1 : 0, 16);
    parts.push(strings(column.name), fixed);
  }
  return frame(Backend.RowDescription, Buffer.concat(parts));
}

/** Values in text format, or as they are to be sent; null = SQL NULL. */
export function dataRow(values: readonly (string | number | Buffer | null)[]): Buffer {
  const parts: Buffer[] = [int16(values.length)];
  for (const value of values) {
    if (value === null) {
      parts.push(int32(-1));
    } else {
      const bytes = Buffer.isBuffer(value) ? value : Buffer.from(String(value), 'utf8');
      parts.push(int32(bytes.length), bytes);
    }
  }
  return frame(Backend.DataRow, Buffer.concat(parts));
}

/** @param typeOids types of the parameters of a statement */
export function parameterDescription(typeOids: readonly number[]): Buffer {
  return frame(Backend.ParameterDescription, Buffer.concat([int16(typeOids.length), ...typeOids.map(int32)]));
}

/**
 * @param minor of the protocol version 3.minor that Weir will speak
 * @param unknownOptions the client's `_pq_.` options that Weir does not know
 */
export function negotiateProtocolVersion(minor: number, unknownOptions: readonly string[]): Buffer {
  // The manual says "minor version"; PostgreSQL sends, and libpq expects, the whole version number.
  const version = int32(Request.protocol30 + minor);
  const body = Buffer.concat([version, int32(unknownOptions.length), strings(...unknownOptions)]);
  return frame(Backend.NegotiateProtocolVersion, body);
}

/** AuthenticationXxx with its code and data (salt, SASL data). */
export function authentication(subCode: number, data: Buffer = noBytes): Buffer {
  return frame(Backend.Authentication, Buffer.concat([int32(subCode), data]));
}

/* ---- client to server ---- */

/** StartupMessage, protocol 3.0. Not by pg-protocol, which always adds a client_encoding. */
export function startupMessage(parameters: Readonly<Record<string, string>>): Buffer {
  const pairs = Object.entries(parameters).flat();
  const body = Buffer.concat([int32(Request.protocol30), strings(...pairs), Buffer.from([0])]);
  return Buffer.concat([int32(4 + body.length), body]);
}

export const sslRequest = serialize.requestSsl();

/** @param secret 4 bytes in protocol 3.0, up to 256 in 3.2; pg-protocol only supports 4 */
export function cancelRequest(processId: number, secret: Buffer): Buffer {
  return Buffer.concat([int32(12 + secret.length), int32(Request.cancel), int32(processId), secret]);
}

export function query(sql: string): Buffer {
  return serialize.query(sql);
}

/** Makes a COPY FROM STDIN fail. */
export function copyFail(why: string): Buffer {
  return serialize.copyFail(why);
}

/**
 * Parse, with statement and types as the client's bytes: they need not be UTF-8.
 * @param sql without its zero
 * @param types parameter types as in Parse: Int16 count, Int32 each
 */
export function parse(name: string, sql: Buffer, types: Buffer): Buffer {
  return frame(Frontend.Parse, Buffer.concat([strings(name), sql, Buffer.from([0]), types]));
}

/** Bind of the unnamed statement to the unnamed portal; values and result in text format. */
export function bindTexts(values: readonly string[]): Buffer {
  return serialize.bind({ values: [...values] });
}

/** Bind of a statement without parameters; result in text format. */
export function bindTo(portal: string, statement: string): Buffer {
  return serialize.bind({ portal, statement });
}

/**
 * Execute of a portal, by default the unnamed one.
 * @param maxRows 0: all rows
 */
export function execute(maxRows: number, portal = ''): Buffer {
  return serialize.execute({ portal, rows: maxRows });
}

/** A name that no prepared statement has: Weir makes no such name, and clients do not use control characters. */
export const noSuchStatement = '\u0001weir';

/** Close or Describe of a statement ('S') or portal ('P'). */
export function close(what: 'S' | 'P', name: string): Buffer {
  return serialize.close({ type: what, name });
}

export function describe(what: 'S' | 'P', name: string): Buffer {
  return serialize.describe({ type: what, name });
}

/** A password, or the md5 hash in its place. */
export function password(text: string): Buffer {
  return serialize.password(text);
}

export function saslInitialResponse(mechanism: string, response: string): Buffer {
  return serialize.sendSASLInitialResponseMessage(mechanism, response);
}

export function saslResponse(response: string): Buffer {
  return serialize.sendSCRAMClientFinalMessage(response);
}

export const sync = serialize.sync();
export const flush = serialize.flush();
export const terminate = serialize.end();
