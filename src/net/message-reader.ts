/**
 * Reads whole messages off a socket while somebody logs in, either door: every length is checked before anything is
 * kept, and all of it has one deadline. Only for log-in: `detach` gives the socket and the unread bytes away, paused,
 * and from then on net/wire.ts reads it. Called by frontend/login.ts, backend/login.ts and backend/cancel.ts.
 */
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { describeType, maxStartupLength } from '../protocol/codes.ts';
import { ProtocolError } from '../protocol/read.ts';

/** Why no message came: the peer went away, the deadline passed, or the owner gave up. */
export type ReadFailure = 'closed' | 'timeout' | 'aborted';

export class ReadError extends Error {
  readonly reason: ReadFailure;

  constructor(reason: ReadFailure, message: string, cause?: unknown) {
    super(message, { cause });
    this.name = 'ReadError';
    this.reason = reason;
  }
}

/** A message without its length; `body` is a part of the buffer it arrived in. */
export interface Message {
  readonly type: number;
  readonly body: Buffer;
}

interface Waiter {
  /** Takes a message out of the bytes gathered so far; undefined: more are needed. Throws ProtocolError. */
  readonly take: () => unknown;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** A peer that sends ahead is made to wait beyond this. */
const maxReadAheadBytes = 64 * 1024;
const noBytes = Buffer.alloc(0);

/** Stands in for whoever is between two owners of a socket, so that an error there never goes unhandled. */
export function ignoreError(): void {}

export class MessageReader {
  private readonly socket: Socket | TLSSocket;
  private readonly deadline: NodeJS.Timeout | undefined;
  /** Bytes not taken yet are store[start, end). */
  private store: Buffer = noBytes;
  /** False: it is a chunk of the socket, not to be written into. */
  private isStoreOurs = false;
  private start = 0;
  private end = 0;
  private waiter: Waiter | undefined;
  private failure: Error | undefined;
  private readonly onData = (chunk: Buffer): void => this.gather(chunk);
  private readonly onEnd = (): void =>
    this.fail(new ReadError('closed', 'the connection was closed by the other side'));
  private readonly onError = (error: Error): void => this.fail(new ReadError('closed', error.message, error));

  /**
   * `timeoutMs`: for everything until `detach`; undefined: the owner watches the time. A reader that failed stays
   * failed; its owner closes the socket.
   */
  constructor(socket: Socket | TLSSocket, timeoutMs: number | undefined) {
    this.socket = socket;
    if (timeoutMs !== undefined) {
      const late = (): void => this.fail(new ReadError('timeout', `log-in took longer than ${timeoutMs} ms`));
      this.deadline = setTimeout(late, timeoutMs);
    }
    socket.on('data', this.onData);
    socket.on('end', this.onEnd);
    socket.on('close', this.onEnd);
    socket.on('error', this.onError);
    if (socket.destroyed || socket.readableEnded) this.onEnd();
    else socket.resume();
  }

  /** The next message. `maxLength` bounds its length field (which counts itself, not the type byte). */
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

  /** The next packet without type byte (StartupMessage, SSLRequest, CancelRequest ...): its request code and the rest. */
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

  /** A single byte: the answer to SSLRequest. */
  nextByte(): Promise<number> {
    return this.read(() => (this.buffered < 1 ? undefined : (this.store[this.start++] as number)));
  }

  /** The next byte, which stays: what will this be? */
  firstByte(): Promise<number> {
    return this.read(() => (this.buffered < 1 ? undefined : (this.store[this.start] as number)));
  }

  /** Up to `count` bytes that were read but not taken: to say what somebody was trying to speak. */
  peek(count: number): Buffer {
    return this.store.subarray(this.start, Math.min(this.end, this.start + count));
  }

  /** Something came that nobody asked for yet (behind SSLRequest: an attempt to smuggle plain bytes into TLS). */
  get hasUnread(): boolean {
    return this.buffered > 0 || this.socket.readableLength > 0;
  }

  /** Ends the read that is waiting, and all later ones, with this error. The first one stays. */
  fail(error: Error): void {
    if (this.failure !== undefined) return;
    this.failure = error;
    clearTimeout(this.deadline);
    const waiter = this.waiter;
    this.waiter = undefined;
    waiter?.reject(error);
  }

  /**
   * Lets go of the socket and returns the bytes not taken yet. The socket is paused and has no listeners of this
   * reader; its next owner attaches its own in the same turn, handles the bytes, and then resumes it.
   */
  detach(): Buffer {
    this.fail(new ReadError('aborted', 'the reader was detached'));
    this.socket.pause();
    this.socket.off('data', this.onData);
    this.socket.off('end', this.onEnd);
    this.socket.off('close', this.onEnd);
    this.socket.off('error', this.onError);
    // A copy: a few bytes must not keep a whole chunk alive.
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
      // What came before the end is still given out; only then the failure.
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

  /** Doubles what it copies into, so that a message sent byte by byte costs no more than its length. */
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
