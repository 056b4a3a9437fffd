/**
 * What Weir has said to a client that logs in, and not sent yet: it is sent when Weir waits for the client, as by PostgreSQL, because
 * each write is a system call, and they cost more than the rest of a log-in. What is left at its end goes out with the first messages of
 * the session. Made by login.ts.
 */
import type { Socket } from 'node:net';

export class Unsent {
  private readonly socket: Socket;
  private frames: Buffer[] = [];

  constructor(socket: Socket) {
    this.socket = socket;
  }

  say(frame: Buffer): void {
    this.frames.push(frame);
  }

  send(): void {
    if (this.frames.length > 0) this.socket.write(this.take());
  }

  /** Sends what nobody has taken by the end of this turn: a client that waits for a server shall know that it is let in. */
  sendSoon(): void {
    setImmediate(() => this.send());
  }

  /** The caller sends it. */
  take(): Buffer {
    const bytes = Buffer.concat(this.frames);
    this.frames = [];
    return bytes;
  }
}
