/**
 * Messages of a client as a script writes them: a string is a Query, the functions make the others. What a server sends
 * back is turned into one readable line a message, without losing a byte.
 */
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

function sent(type: number, label: string, ...body: Buffer[]): Sent {
  return { type, bytes: frame(type, Buffer.concat(body)), label };
}

export const query = (sql: string): Sent => sent(Frontend.Query, sql, strings(sql));

export function parse(name: string, sql: string, types: readonly number[] = []): Sent {
  return sent(Frontend.Parse, `Parse ${name} ${sql}`, strings(name, sql), int16(types.length), ...types.map(int32));
}

export interface BindOptions {
  readonly values?: readonly (string | Buffer | null)[];
  readonly formats?: readonly number[];
  readonly results?: readonly number[];
}

export function bind(portal: string, statement: string, options: BindOptions = {}): Sent {
  const { values = [], formats = [], results = [] } = options;
  const fields = values.map((value) => {
    if (value === null) return int32(-1);
    const bytes = typeof value === 'string' ? Buffer.from(value) : value;
    return Buffer.concat([int32(bytes.length), bytes]);
  });
  return sent(
    Frontend.Bind,
    `Bind ${portal} ${statement} ${JSON.stringify(values)}`,
    strings(portal, statement),
    ...[int16(formats.length), ...formats.map(int16)],
    ...[int16(values.length), ...fields],
    ...[int16(results.length), ...results.map(int16)],
  );
}

export const describeStatement = (name = ''): Sent =>
  sent(Frontend.Describe, `Describe S ${name}`, Buffer.from('S'), strings(name));
export const describePortal = (name = ''): Sent =>
  sent(Frontend.Describe, `Describe P ${name}`, Buffer.from('P'), strings(name));
export const execute = (portal = '', rows = 0): Sent =>
  sent(Frontend.Execute, `Execute ${portal} ${rows}`, strings(portal), int32(rows));
export const closeStatement = (name: string): Sent =>
  sent(Frontend.Close, `Close S ${name}`, Buffer.from('S'), strings(name));
export const closePortal = (name: string): Sent =>
  sent(Frontend.Close, `Close P ${name}`, Buffer.from('P'), strings(name));
export const sync: Sent = sent(Frontend.Sync, 'Sync');
export const flush: Sent = sent(Frontend.Flush, 'Flush');
export const copyData = (text: string): Sent => sent(Frontend.CopyData, `CopyData ${text}`, Buffer.from(text));
export const copyDone: Sent = sent(Frontend.CopyDone, 'CopyDone');
export const copyFail = (why: string): Sent => sent(Frontend.CopyFail, `CopyFail ${why}`, strings(why));
export const terminate: Sent = sent(Frontend.Terminate, 'Terminate');

/** FunctionCall with text arguments and a text result. */
export function functionCall(oid: number, ...values: (string | null)[]): Sent {
  const fields = values.map((value) =>
    value === null ? int32(-1) : Buffer.concat([int32(Buffer.byteLength(value)), Buffer.from(value)]),
  );
  const body = [int32(oid), int16(0), int16(values.length), ...fields, int16(0)];
  return sent(Frontend.FunctionCall, `FunctionCall ${oid}`, ...body);
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
export const raw = (type: string, body: Buffer): Sent => sent(type.charCodeAt(0), `raw ${type}`, body);

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
