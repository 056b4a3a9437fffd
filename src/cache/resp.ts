/**
 * Parses RESP2, the protocol of Redis, from chunks of any size. Bounded: a length above the limits, too many values,
 * too deep nesting or a line without an end is an error at once, before memory is allocated for it. After an error the
 * connection cannot be read any further. Used by redis-link.ts.
 */

/** An answer of type "error": Redis refused the command; the connection is still usable. */
export class RespError extends Error {}

export type Reply = Buffer | number | null | RespError | readonly Reply[];

export interface RespLimits {
  /** Limit for one value, and for all values of one answer together. */
  readonly maxBytes: number;
}

const maxLineBytes = 16_384;
const maxDepth = 4;
/** Limit for one answer, as announced by its lists. */
const maxValues = 10_000;

interface OpenArray {
  readonly values: Reply[];
  readonly length: number;
}

const lineFeed = 10;
const nothing = Buffer.alloc(0);
/** Memory for a value grows with what arrives, not with the announced length. */
const firstBytes = 16_384;
const integer = /^-?\d{1,15}$/;

export class RespReader {
  private readonly limits: RespLimits;
  private readonly deliver: (reply: Reply) => void;
  private line: Buffer[] = [];
  private lineBytes = 0;
  private bulk = nothing;
  private bulkBytes = 0;
  /** Bytes of the value still to come, including its CR LF; -1: a line is being read. */
  private missing = -1;
  private readonly open: OpenArray[] = [];
  private values = 0;
  private bytes = 0;

  /** @param deliver called with each complete answer */
  constructor(limits: RespLimits, deliver: (reply: Reply) => void) {
    this.limits = limits;
    this.deliver = deliver;
  }

  /**
   * @param chunk must not be changed until its last line is complete
   * @throws Error if the bytes are not RESP2, or exceed a limit
   */
  read(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) at = this.missing >= 0 ? this.readBulk(chunk, at) : this.readLine(chunk, at);
  }

  private readLine(chunk: Buffer, at: number): number {
    const end = chunk.indexOf(lineFeed, at);
    const part = chunk.subarray(at, end < 0 ? chunk.length : end + 1);
    this.lineBytes += part.length;
    if (this.lineBytes > maxLineBytes) throw new Error(`a line of more than ${maxLineBytes} bytes`);
    if (end < 0) {
      this.line.push(part);
      return chunk.length;
    }
    const line = this.line.length === 0 ? part : Buffer.concat([...this.line, part]);
    this.line = [];
    this.lineBytes = 0;
    if (line.length < 3 || line[line.length - 2] !== 13) throw new Error('a line that does not end as RESP2 wants it');
    this.take(String.fromCharCode(line[0]!), line.toString('latin1', 1, line.length - 2));
    return end + 1;
  }

  private readBulk(chunk: Buffer, at: number): number {
    const end = Math.min(chunk.length, at + this.missing);
    const need = this.bulkBytes + (end - at);
    if (need > this.bulk.length) this.grow(need);
    chunk.copy(this.bulk, this.bulkBytes, at, end);
    this.bulkBytes = need;
    this.missing -= end - at;
    if (this.missing > 0) return end;
    const { bulk } = this;
    this.bulk = nothing;
    this.bulkBytes = 0;
    this.missing = -1;
    if (bulk[need - 2] !== 13 || bulk[need - 1] !== lineFeed) throw new Error('a value that is longer than announced');
    this.add(bulk.subarray(0, need - 2));
    return end;
  }

  private grow(need: number): void {
    const most = this.bulkBytes + this.missing;
    const bulk = Buffer.allocUnsafeSlow(Math.min(most, Math.max(need, firstBytes, 2 * this.bulk.length)));
    this.bulk.copy(bulk, 0, 0, this.bulkBytes);
    this.bulk = bulk;
  }

  private take(type: string, rest: string): void {
    if (type === '+' || type === '-') {
      this.count(rest.length);
      return this.add(type === '+' ? Buffer.from(rest, 'latin1') : new RespError(rest));
    }
    if (type !== ':' && type !== '$' && type !== '*') throw new Error('something that is not RESP2');
    if (!integer.test(rest)) throw new Error('a number that is none');
    const number = Number(rest);
    if (type === ':') return this.add(number);
    if (number === -1) return this.add(null);
    if (number < 0) throw new Error('a negative length');
    if (type === '$') this.beginBulk(number);
    else this.beginArray(number);
  }

  private beginBulk(length: number): void {
    this.count(length);
    this.missing = length + 2;
  }

  private count(length: number): void {
    this.bytes += length;
    if (this.bytes > this.limits.maxBytes) throw new Error(`a value of ${length} bytes, which is more than fits`);
  }

  private beginArray(length: number): void {
    this.values += length;
    if (this.values > maxValues) throw new Error(`a list of ${length} values, which is more than fits`);
    if (this.open.length >= maxDepth) throw new Error('lists nested too deep');
    if (length === 0) this.add([]);
    else this.open.push({ values: [], length });
  }

  private add(reply: Reply): void {
    let value = reply;
    for (;;) {
      const array = this.open.at(-1);
      if (array === undefined) break;
      array.values.push(value);
      if (array.values.length < array.length) return;
      this.open.pop();
      value = array.values;
    }
    this.values = 0;
    this.bytes = 0;
    this.deliver(value);
  }
}

/** @returns a command in RESP: each argument with its length */
export function encodeCommand(args: readonly (string | Buffer | number)[]): Buffer {
  const parts: Buffer[] = [];
  let text = `*${args.length}\r\n`;
  for (const arg of args) {
    if (Buffer.isBuffer(arg)) {
      parts.push(Buffer.from(`${text}$${arg.length}\r\n`), arg);
      text = '\r\n';
    } else {
      const word = String(arg);
      text += `$${Buffer.byteLength(word)}\r\n${word}\r\n`;
    }
  }
  parts.push(Buffer.from(text));
  return parts.length === 1 ? parts[0]! : Buffer.concat(parts);
}
