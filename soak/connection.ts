/**
 * A client at the level of messages, cheap enough for thousands of checked reads a second: several requests in one
 * write, answers counted by their ReadyForQuery. Logs in without a password. Used by workload.ts and writer.ts.
 */
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { Backend, Frontend } from '../src/protocol/codes.ts';
import { readErrorFields } from '../src/protocol/read.ts';
import { FrameScanner } from '../src/protocol/scanner.ts';
import type { FrameSink } from '../src/protocol/scanner.ts';
import { cancelRequest, frame, query, startupMessage, strings, sync, terminate } from '../src/protocol/write.ts';

/** What came up to one ReadyForQuery. */
export interface Answer {
  readonly rows: (string | null)[][];
  readonly tags: string[];
  readonly sqlstate: string;
  readonly message: string;
  /** 'I', 'T' or 'E'. */
  readonly status: string;
}

/** The connection has ended: what was under way has an unknown outcome. */
export class LostError extends Error {}

interface Waiting {
  readonly answers: Answer[];
  readonly count: number;
  readonly sinceMs: number;
  resolve(answers: Answer[]): void;
  reject(error: Error): void;
}

/** Told when a connection ends without its client's doing. */
export type OnCut = (connection: Connection, why: string) => void;

export class Connection implements FrameSink {
  isLost = false;
  readonly openedAtMs = performance.now();
  /** Of this end; 0 until it is connected. */
  port = 0;
  private readonly onCut: OnCut | undefined;
  private readonly socket: Socket;
  private readonly at: { host: string; port: number };
  private readonly scanner = new FrameScanner(this);
  private readonly waiting: Waiting[] = [];
  private key: { pid: number; secret: Buffer } | undefined = undefined;
  private rows: (string | null)[][] = [];
  private tags: string[] = [];
  private sqlstate = '';
  private message = '';

  private constructor(socket: Socket, at: { host: string; port: number }, onCut?: OnCut) {
    this.socket = socket;
    this.at = at;
    this.onCut = onCut;
    socket.once('connect', () => (this.port = socket.localPort ?? 0));
    socket.on('data', (chunk) => this.scanner.push(chunk));
    socket.on('error', () => undefined);
    socket.once('close', () => this.cut());
  }

  get isLoggedIn(): boolean {
    return this.key !== undefined;
  }

  static async open(
    at: { host: string; port: number },
    parameters: Readonly<Record<string, string>>,
    onCut?: OnCut,
  ): Promise<Connection> {
    const socket = connect(at.port, at.host);
    socket.setNoDelay(true);
    const connection = new Connection(socket, at, onCut);
    const [answer] = await connection.send(startupMessage(parameters), 1);
    if (answer!.sqlstate !== '') {
      onCut?.(connection, `the log-in was refused (${answer!.sqlstate} ${answer!.message})`);
      connection.drop();
      throw new LostError(`the log-in was refused (${answer!.sqlstate})`);
    }
    return connection;
  }

  /** Sends bytes that are answered by `count` ReadyForQuery. */
  send(bytes: Buffer, count: number): Promise<Answer[]> {
    if (this.isLost) return Promise.reject(new LostError('the connection has ended'));
    return new Promise((resolve, reject) => {
      this.waiting.push({ answers: [], count, sinceMs: performance.now(), resolve, reject });
      this.socket.write(bytes);
    });
  }

  /** Since when the oldest request waits; undefined: none does. */
  get waitsSinceMs(): number | undefined {
    return this.waiting[0]?.sinceMs;
  }

  /** Asks for what is under way to be cancelled. */
  cancel(): void {
    if (this.key === undefined) return;
    const { pid, secret } = this.key;
    const socket = connect(this.at.port, this.at.host, () => socket.end(cancelRequest(pid, secret)));
    socket.on('error', () => undefined).resume();
  }

  /** As a client that is killed. */
  drop(): void {
    this.socket.destroy();
    this.lost();
  }

  end(): void {
    if (!this.isLost) this.socket.end(terminate);
    this.lost();
  }

  private cut(): void {
    if (!this.isLost) this.onCut?.(this, `the connection has ended ${this.sqlstate} ${this.message}`.trimEnd());
    this.lost();
  }

  private lost(): void {
    this.isLost = true;
    const why = new LostError(`the connection has ended ${this.sqlstate} ${this.message}`.trimEnd());
    for (const { reject } of this.waiting.splice(0)) reject(why);
  }

  /* ---- FrameSink ---- */

  frame(type: number, buffer: Buffer, start: number, end: number): boolean {
    if (type === Backend.DataRow) this.rows.push(valuesOf(buffer, start + 5));
    else if (type === Backend.CommandComplete) this.tags.push(buffer.toString('latin1', start + 5, end - 1));
    else if (type === Backend.ReadyForQuery) this.ready(String.fromCharCode(buffer[start + 5]!));
    else if (type === Backend.ErrorResponse) this.failed(readErrorFields(buffer, start + 5, end));
    else if (type === Backend.BackendKeyData)
      this.key = { pid: buffer.readInt32BE(start + 5), secret: Buffer.from(buffer.subarray(start + 9, end)) };
    return true;
  }

  mayStream(): boolean {
    return false;
  }

  begin(): boolean {
    return true;
  }

  more(): boolean {
    return true;
  }

  private failed(fields: ReadonlyMap<string, string>): void {
    // The first error of a batch is the cause of what follows.
    if (this.sqlstate !== '') return;
    this.sqlstate = fields.get('C') ?? '?';
    this.message = fields.get('M') ?? '';
  }

  private ready(status: string): void {
    const { rows, tags, sqlstate, message } = this;
    this.rows = [];
    this.tags = [];
    this.sqlstate = this.message = '';
    const first = this.waiting[0];
    if (first === undefined) return;
    first.answers.push({ rows, tags, sqlstate, message, status });
    if (first.answers.length < first.count) return;
    this.waiting.shift();
    first.resolve(first.answers);
  }
}

function valuesOf(buffer: Buffer, start: number): (string | null)[] {
  const values: (string | null)[] = [];
  let at = start + 2;
  for (let left = buffer.readInt16BE(start); left > 0; left--) {
    const length = buffer.readInt32BE(at);
    at += 4;
    values.push(length < 0 ? null : buffer.toString('latin1', at, at + length));
    if (length > 0) at += length;
  }
  return values;
}

/* ---- requests ---- */

export { query, sync };

const int16 = (value: number): Buffer => Buffer.from([(value >> 8) & 255, value & 255]);
const noTypes = int16(0);

export function parse(name: string, sql: string): Buffer {
  return frame(Frontend.Parse, Buffer.concat([strings(name, sql), noTypes]));
}

/** Bind of texts and Execute, both on the unnamed portal. */
export function run(statement: string, values: readonly (number | string)[]): Buffer {
  const parts = values.map((value) => {
    const text = Buffer.from(String(value));
    const length = Buffer.alloc(4);
    length.writeInt32BE(text.length);
    return Buffer.concat([length, text]);
  });
  const bind = [strings('', statement), int16(0), int16(values.length), ...parts, int16(0)];
  const all = Buffer.concat([strings(''), Buffer.alloc(4)]);
  return Buffer.concat([frame(Frontend.Bind, Buffer.concat(bind)), frame(Frontend.Execute, all)]);
}

/** Parse, Bind, Execute without a Sync. */
export function extended(sql: string, values: readonly (number | string)[] = []): Buffer {
  return Buffer.concat([parse('', sql), run('', values)]);
}

export function copyIn(sql: string, lines: string): Buffer {
  return Buffer.concat([query(sql), frame(Frontend.CopyData, Buffer.from(lines)), frame(Frontend.CopyDone)]);
}
