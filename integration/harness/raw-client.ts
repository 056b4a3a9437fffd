/**
 * A client at the level of bytes, for tests of load: cheap enough to have ten thousand of, reads a gigabyte without
 * keeping it, and stops reading when it is told to. Logs in without a password (auth.type trust).
 */
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { Backend } from '../../src/protocol/codes.ts';
import { readErrorFields } from '../../src/protocol/read.ts';
import { FrameScanner } from '../../src/protocol/scanner.ts';
import type { FrameSink } from '../../src/protocol/scanner.ts';
import { query, startupMessage } from '../../src/protocol/write.ts';

export interface RawAnswer {
  /** The first value of each row that came in one piece. */
  readonly values: string[];
  /** Of the ErrorResponse, if there was one. */
  readonly sqlstate: string | undefined;
}

export class RawClient implements FrameSink {
  readonly socket: Socket;
  /** Everything that has come so far. */
  receivedBytes = 0;
  /** ReadyForQuery so far. */
  readies = 0;
  private values: string[] = [];
  /** Of the last ErrorResponse. */
  lastSqlstate: string | undefined;
  private sqlstate: string | undefined;
  private readonly scanner = new FrameScanner(this);
  private readonly waiting: { resolve: (answer: RawAnswer) => void; reject: (error: Error) => void }[] = [];

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk) => {
      this.receivedBytes += chunk.length;
      this.scanner.push(chunk);
    });
    socket.on('error', () => undefined);
    socket.once('close', () => {
      const why = new Error(`the connection was closed${this.sqlstate === undefined ? '' : ` (${this.sqlstate})`}`);
      for (const { reject } of this.waiting.splice(0)) reject(why);
    });
  }

  static async connect(
    at: { host: string; port: number },
    who: { user: string; database: string },
  ): Promise<RawClient> {
    const socket = connect(at.port, at.host);
    socket.setNoDelay(true);
    const client = new RawClient(socket);
    const greeted = client.next();
    socket.write(startupMessage(who));
    const { sqlstate } = await greeted;
    if (sqlstate !== undefined) throw new Error(`the log-in was refused (${sqlstate})`);
    return client;
  }

  /** Sends bytes as they are; resolves when the kernel has taken them. */
  send(bytes: Buffer): Promise<void> {
    return new Promise((resolve, reject) => {
      this.socket.write(bytes, (error) => (error == null ? resolve() : reject(error)));
    });
  }

  /** What comes up to the next ReadyForQuery that nobody waits for yet. */
  next(): Promise<RawAnswer> {
    const answer = new Promise<RawAnswer>((resolve, reject) => this.waiting.push({ resolve, reject }));
    // A test that fails first does not come back for it.
    answer.catch(() => undefined);
    return answer;
  }

  async ask(sql: string): Promise<RawAnswer> {
    const answer = this.next();
    this.socket.write(query(sql));
    return answer;
  }

  end(): void {
    this.socket.destroy();
  }

  /* ---- FrameSink ---- */

  frame(type: number, buffer: Buffer, start: number, end: number): boolean {
    if (type === Backend.DataRow) this.values.push(firstValue(buffer, start, end));
    if (type === Backend.ErrorResponse)
      this.lastSqlstate = this.sqlstate = readErrorFields(buffer, start + 5, end).get('C');
    if (type === Backend.ReadyForQuery) {
      this.readies++;
      this.waiting.shift()?.resolve({ values: this.values, sqlstate: this.sqlstate });
      this.values = [];
      this.sqlstate = undefined;
    }
    return true;
  }

  mayStream(_type: number, size: number): boolean {
    return size > 1_000;
  }

  begin(): boolean {
    return true;
  }

  more(): boolean {
    return true;
  }
}

function firstValue(buffer: Buffer, start: number, end: number): string {
  const columns = buffer.readInt16BE(start + 5);
  const length = columns === 0 ? -1 : buffer.readInt32BE(start + 7);
  return length < 0 ? '' : buffer.toString('utf8', start + 11, Math.min(end, start + 11 + length));
}
