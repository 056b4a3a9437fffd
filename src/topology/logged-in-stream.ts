/**
 * Lets the `pg` package, which always logs in by itself, use a connection that is already logged in: answers its
 * StartupMessage here and passes everything after it to the server and back. Used by probe.ts.
 */
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';

/** AuthenticationOk and ReadyForQuery (idle). */
const WELCOME = Buffer.from('R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I', 'latin1');

export class LoggedInStream extends Duplex {
  readonly #socket: Socket;
  readonly #leftover: Buffer;
  #isGreeted = false;

  /** @param leftover bytes that the server sent after the log-in */
  constructor(socket: Socket, leftover: Buffer) {
    super({ allowHalfOpen: false });
    this.#socket = socket;
    this.#leftover = leftover;
    socket.on('data', (chunk: Buffer) => {
      if (!this.push(chunk)) socket.pause();
    });
    socket.once('end', () => this.push(null));
    socket.on('error', (error) => this.destroy(error));
    socket.once('close', () => this.destroy());
  }

  /* ---- methods of net.Socket that `pg` calls ---- */

  connect(): this {
    setImmediate(() => void this.emit('connect'));
    return this;
  }

  setNoDelay(): this {
    return this;
  }

  setKeepAlive(isOn: boolean, delayMs: number): this {
    this.#socket.setKeepAlive(isOn, delayMs);
    return this;
  }

  /* ---- Duplex ---- */

  override _read(): void {
    this.#socket.resume();
  }

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    if (this.#isGreeted) {
      this.#socket.write(chunk, done);
      return;
    }
    this.#isGreeted = true;
    this.push(Buffer.concat([WELCOME, this.#leftover]));
    done();
  }

  override _final(done: () => void): void {
    this.#socket.end();
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#socket.destroy();
    done(error);
  }
}
