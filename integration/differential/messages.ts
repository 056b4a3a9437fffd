/**
 * Messages of a client as a script writes them, mostly with the package pg-protocol: a string is a Query, the functions
 * make the others. What a server sends back is turned into one readable line a message, without losing a byte.
 */
import { serialize } from 'pg-protocol';
import { Backend, Frontend } from '../../src/protocol/codes.ts';
import { frame, strings } from '../../src/protocol/write.ts';

/** One message to send, and how many answers of its own it brings when nothing fails. */
export interface Sent {
  readonly type: number;
  readonly bytes: Buffer;
  /** As it is printed in a failure. */
  readonly label: string;
}

const int16 = (value: number): Buffer => Buffer.from([(value >> 8) & 255, value & 255]);
const int32 = (value: number): Buffer => {
  const out = Buffer.alloc(4);
  out.writeInt32BE(value);
  return out;
};

const sent = (bytes: Buffer, label: string): Sent => ({ type: bytes[0]!, bytes, label });

export const query = (sql: string): Sent => sent(serialize.query(sql), sql);

export function parse(name: string, sql: string, types: readonly number[] = []): Sent {
  return sent(serialize.parse({ name, text: sql, types: [...types] }), `Parse ${name} ${sql}`);
}

export interface BindOptions {
  readonly values?: readonly (string | Buffer | null)[];
  readonly formats?: readonly number[];
  readonly results?: readonly number[];
}

/** The one of pg-protocol chooses the formats itself, one for each value and one for all columns. */
export function bind(portal: string, statement: string, options: BindOptions = {}): Sent {
  const { values = [], formats = [], results = [] } = options;
  const fields = values.map((value) => {
    if (value === null) return int32(-1);
    const bytes = typeof value === 'string' ? Buffer.from(value) : value;
    return Buffer.concat([int32(bytes.length), bytes]);
  });
  const body = [
    strings(portal, statement),
    ...[int16(formats.length), ...formats.map(int16)],
    ...[int16(values.length), ...fields],
    ...[int16(results.length), ...results.map(int16)],
  ];
  return sent(frame(Frontend.Bind, Buffer.concat(body)), `Bind ${portal} ${statement} ${JSON.stringify(values)}`);
}

export const describeStatement = (name = ''): Sent =>
  sent(serialize.describe({ type: 'S', name }), `Describe S ${name}`);
export const describePortal = (name = ''): Sent => sent(serialize.describe({ type: 'P', name }), `Describe P ${name}`);
export const execute = (portal = '', rows = 0): Sent =>
  sent(serialize.execute({ portal, rows }), `Execute ${portal} ${rows}`);
export const closeStatement = (name: string): Sent => sent(serialize.close({ type: 'S', name }), `Close S ${name}`);
export const closePortal = (name: string): Sent => sent(serialize.close({ type: 'P', name }), `Close P ${name}`);
export const sync: Sent = sent(serialize.sync(), 'Sync');
export const flush: Sent = sent(serialize.flush(), 'Flush');
export const copyData = (text: string): Sent => sent(serialize.copyData(Buffer.from(text)), `CopyData ${text}`);
export const copyDone: Sent = sent(serialize.copyDone(), 'CopyDone');
export const copyFail = (why: string): Sent => sent(serialize.copyFail(why), `CopyFail ${why}`);
export const terminate: Sent = sent(serialize.end(), 'Terminate');

/** FunctionCall with text arguments and a text result. */
export function functionCall(oid: number, ...values: (string | null)[]): Sent {
  const fields = values.map((value) =>
    value === null ? int32(-1) : Buffer.concat([int32(Buffer.byteLength(value)), Buffer.from(value)]),
  );
  const body = [int32(oid), int16(0), int16(values.length), ...fields, int16(0)];
  return sent(frame(Frontend.FunctionCall, Buffer.concat(body)), `FunctionCall ${oid}`);
}

/** Parse, Bind, Describe and Execute of the unnamed statement, as drivers send them; the Sync is left to the script. */
export function extended(sql: string, ...values: (string | null)[]): Sent[] {
  return [parse('', sql), bind('', '', { values }), describePortal(), execute()];
}

/** Bind and Execute of a prepared statement. */
export function run(name: string, ...values: (string | null)[]): Sent[] {
  return [bind('', name, { values }), execute()];
}

/** Bytes that are no message at all. */
export const raw = (type: string, body: Buffer): Sent => sent(frame(type.charCodeAt(0), body), `raw ${type}`);

const names = new Map(Object.entries(Backend).map(([name, code]) => [code as number, name]));

/** Everything but printable ASCII as \xNN. */
function printable(body: Buffer): string {
  let out = '';
  for (const byte of body) {
    if (byte === 0) out += '|';
    else if (byte === 0x5c || byte === 0x7c) out += `\\${String.fromCharCode(byte)}`;
    else if (byte >= 0x20 && byte < 0x7f) out += String.fromCharCode(byte);
    else out += `\\x${byte.toString(16).padStart(2, '0')}`;
  }
  return out;
}

/** One message of a server in one line. */
export function line(type: number, body: Buffer): string {
  return `${names.get(type) ?? `type ${type}`} ${printable(body)}`;
}
