/**
 * Reads whole messages from a socket during log-in, of a client or at a server. Checks every length before it keeps
 * any bytes; one deadline covers the whole log-in. After it, detach() gives back the paused socket and the unread
 * bytes, and net/wire.ts reads the socket. Called by frontend/login.ts and backend/connect.ts, among others.
 */
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { describeType, maxStartupLength } from '../protocol/codes.ts';
import { ProtocolError } from '../protocol/read.ts';

/** Why no message came: the peer closed the connection, the deadline passed, or the owner gave up. */
export type ReadFailure = 'closed' | 'timeout' | 'aborted';

export class ReadError extends Error {
  readonly reason: ReadFailure;

  constructor(reason: ReadFailure, message: string, cause?: unknown) {
    super(message, { cause });
    this.name = 'ReadError';
    this.reason = reason;
  }
}

/** Made once, because nobody reads it as a rule, and an Error records its stack: that is a noticeable part of a log-in. */
const detached = new ReadError('aborted', 'the reader was detached');

/** A message without its length field. `body` is a part of the buffer it arrived in. */
export interface Message {
  readonly type: number;
  readonly body: Buffer;
}

interface Waiter {
  /** Takes a message from the buffered bytes; undefined: it is not complete. Throws ProtocolError. */
  readonly take: () => unknown;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** With more unread bytes than this, the socket is paused. */
const maxReadAheadBytes = 64 * 1024;
const noBytes = Buffer.alloc(0);

/** An 'error' listener for a socket that changes its owner, so that an error meanwhile does not end the process. */
export function ignoreError(): void {}

export class MessageReader {
  private readonly socket: Socket | TLSSocket;
  private readonly deadline: NodeJS.Timeout | undefined;
  /** The bytes that were not taken yet are store[start, end). */
  private store: Buffer = noBytes;
  /** False: `store` is a chunk from the socket and must not be written into. */
  private isStoreOurs = false;
  private start = 0;
  private end = 0;
  private waiter: Waiter | undefined;
  private failure: Error | undefined;
  /** The log-in waits for an operator: its deadline is put off. */
  isHeld = false;
  private onFailure: ((error: Error) => void) | undefined;
  private readonly onData = (chunk: Buffer): void => this.gather(chunk);
  private readonly onEnd = (): void =>
    this.fail(new ReadError('closed', 'the connection was closed by the other side'));
  private readonly onError = (error: Error): void => this.fail(new ReadError('closed', error.message, error));

  /**
   * After a failure, all later reads fail too; the owner closes the socket.
   * @param timeoutMs for everything until detach(); undefined: the owner has its own deadline
   */
  constructor(socket: Socket | TLSSocket, timeoutMs: number | undefined) {
    this.socket = socket;
    if (timeoutMs !== undefined) {
      const late = (): void => {
        if (this.isHeld) this.deadline?.refresh();
        else this.fail(new ReadError('timeout', `log-in took longer than ${timeoutMs} ms`));
      };
      this.deadline = setTimeout(late, timeoutMs);
    }
    socket.on('data', this.onData);
    socket.on('end', this.onEnd);
    socket.on('close', this.onEnd);
    socket.on('error', this.onError);
    if (socket.destroyed || socket.readableEnded) this.onEnd();
    else socket.resume();
  }

  /**
   * Reads the next message. Rejects with ReadError or ProtocolError.
   * @param maxLength largest value of the length field, which counts itself but not the type byte
   */
  next(maxLength: number): Promise<Message> {
    return this.read(() => {
      if (this.buffered < 5) return undefined;
      const type = this.store[this.start] as number;
      const length = this.checkedLength(this.start + 1, 4, maxLength, `message ${describeType(type)}`);
      if (this.buffered < 1 + length) return undefined;
      const body = this.store.subarray(this.start + 5, this.start + 1 + length);
      this.start += 1 + length;
      return { type, body };
    });
  }

  /**
   * Reads a packet without a type byte (StartupMessage, SSLRequest, CancelRequest ...): its request code and the rest.
   */
  nextStartup(): Promise<{ readonly code: number; readonly body: Buffer }> {
    return this.read(() => {
      if (this.buffered < 4) return undefined;
      const length = this.checkedLength(this.start, 8, maxStartupLength + 4, 'startup packet');
      if (this.buffered < length) return undefined;
      const code = this.store.readInt32BE(this.start + 4);
      const body = this.store.subarray(this.start + 8, this.start + length);
      this.start += length;
      return { code, body };
    });
  }

  /** Reads a single byte: the answer to SSLRequest. */
  nextByte(): Promise<number> {
    return this.read(() => (this.buffered < 1 ? undefined : (this.store[this.start++] as number)));
  }

  /** Waits for a byte and returns it without taking it. Rejects with ReadError. */
  firstByte(): Promise<number> {
    return this.read(() => (this.buffered < 1 ? undefined : (this.store[this.start] as number)));
  }

  /** Up to `count` bytes that have arrived, without taking them: to recognize another protocol. */
  peek(count: number): Buffer {
    return this.store.subarray(this.start, Math.min(this.end, this.start + count));
  }

  /** More bytes have arrived than were taken. After SSLRequest, that is an attempt to inject plain bytes into TLS. */
  get hasUnread(): boolean {
    return this.buffered > 0 || this.socket.readableLength > 0;
  }

  /** Nothing goes on before the peer has sent more. */
  get isWaiting(): boolean {
    return this.waiter !== undefined;
  }

  /** Rejects the pending read and all later ones with this error. A second call has no effect. */
  fail(error: Error): void {
    if (this.failure !== undefined) return;
    this.failure = error;
    clearTimeout(this.deadline);
    const waiter = this.waiter;
    this.waiter = undefined;
    waiter?.reject(error);
    this.onFailure?.(error);
  }

  /** Rejects as a read would: the peer has left, the deadline has passed, or the owner gave up. Does not read. */
  failed(): Promise<never> {
    return new Promise((_, reject) => {
      if (this.failure === undefined) this.onFailure = reject;
      else reject(this.failure);
    });
  }

  /**
   * Pauses the socket and removes the listeners of this reader. The next owner must attach its own listeners in the
   * same turn of the event loop, process the returned bytes, and then resume the socket.
   * @returns the bytes that were not taken
   */
  detach(): Buffer {
    this.fail(detached);
    this.socket.pause();
    this.socket.off('data', this.onData);
    this.socket.off('end', this.onEnd);
    this.socket.off('close', this.onEnd);
    this.socket.off('error', this.onError);
    // A copy, so that a few bytes do not keep a whole chunk in memory.
    const unread = this.buffered === 0 ? noBytes : Buffer.from(this.store.subarray(this.start, this.end));
    this.store = noBytes;
    this.start = this.end = 0;
    return unread;
  }

  private get buffered(): number {
    return this.end - this.start;
  }

  private checkedLength(at: number, min: number, max: number, what: string): number {
    const length = this.store.readInt32BE(at);
    if (length < min || length > max) throw new ProtocolError(`invalid length ${length} of ${what}`);
    return length;
  }

  private read<T>(take: () => T | undefined): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (this.waiter !== undefined) throw new Error('two reads at once');
      this.waiter = { take, resolve: resolve as (value: unknown) => void, reject };
      this.settle();
      if (this.waiter === undefined) return;
      // Only now, because messages that arrived before the failure are still returned.
      if (this.failure !== undefined) {
        this.waiter = undefined;
        reject(this.failure);
      } else {
        this.socket.resume();
      }
    });
  }

  private settle(): void {
    const waiter = this.waiter;
    if (waiter === undefined) return;
    try {
      const value = waiter.take();
      if (value === undefined) return;
      this.waiter = undefined;
      waiter.resolve(value);
    } catch (error) {
      this.waiter = undefined;
      waiter.reject(error as Error);
    }
  }

  private gather(chunk: Buffer): void {
    if (this.buffered === 0) {
      this.store = chunk;
      this.isStoreOurs = false;
      this.start = 0;
      this.end = chunk.length;
    } else {
      this.append(chunk);
    }
    this.settle();
    if (this.waiter === undefined && this.buffered > maxReadAheadBytes) this.socket.pause();
  }

  /** Doubles the buffer when it is full, so that a message sent byte by byte is not copied for every byte. */
  private append(chunk: Buffer): void {
    if (!this.isStoreOurs || this.store.length - this.end < chunk.length) {
      const needed = this.buffered + chunk.length;
      const grown = Buffer.allocUnsafeSlow(Math.max(256, 2 * needed));
      this.end = this.store.copy(grown, 0, this.start, this.end);
      this.start = 0;
      this.store = grown;
      this.isStoreOurs = true;
    }
    this.end += chunk.copy(this.store, this.end);
  }
}
