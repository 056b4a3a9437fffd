/**
 * A client on a bare socket that can do what drivers hide: leave in the middle of a statement. Logs in as the user that needs no
 * password, so a new connection costs the load little. Used by the loads of this folder.
 */
import type { Socket } from 'node:net';
import { logIn } from '../idle.ts';

export interface Answer {
  /** SQLSTATE of its error; undefined: it was answered. */
  readonly refused: string | undefined;
}

/** Query (manual, Message Formats). */
function queryMessage(sql: string): Buffer {
  const text = Buffer.from(`${sql}\0`);
  const head = Buffer.alloc(5);
  head.write('Q');
  head.writeInt32BE(text.length + 4, 1);
  return Buffer.concat([head, text]);
}

export class PlainClient {
  private readonly socket: Socket;
  private rest: Buffer = Buffer.alloc(0);
  private refused: string | undefined;
  private answered: ((answer: Answer) => void) | undefined;
  isGone = false;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => this.read(chunk));
    socket.on('close', () => this.end({ refused: '08006' }, true));
  }

  /** Rejects if it is not let in. */
  static async connect(port: number): Promise<PlainClient> {
    return new PlainClient(await logIn(port));
  }

  /** One at a time. */
  ask(sql: string): Promise<Answer> {
    if (this.isGone) return Promise.resolve({ refused: '08006' });
    this.refused = undefined;
    this.socket.write(queryMessage(sql));
    return new Promise((resolve) => (this.answered = resolve));
  }

  /** Closes the connection, whatever runs: what a client does that has waited for too long. */
  leave(): void {
    this.end({ refused: '08006' }, true);
    this.socket.destroy();
  }

  private end(answer: Answer, isGone: boolean): void {
    this.isGone ||= isGone;
    const { answered } = this;
    this.answered = undefined;
    answered?.(answer);
  }

  private read(chunk: Buffer): void {
    let bytes = this.rest.length === 0 ? chunk : Buffer.concat([this.rest, chunk]);
    while (bytes.length >= 5) {
      const length = 1 + bytes.readInt32BE(1);
      if (bytes.length < length) break;
      const code = String.fromCharCode(bytes[0] as number);
      // ErrorResponse: fields of a letter and a text that ends with a zero byte; C is the SQLSTATE.
      if (code === 'E') this.refused = /(?:^|\0)C([^\0]*)/.exec(bytes.toString('latin1', 5, length))?.[1] ?? 'XX000';
      bytes = bytes.subarray(length);
      if (code === 'Z') this.end({ refused: this.refused }, false);
    }
    this.rest = bytes;
  }
}
