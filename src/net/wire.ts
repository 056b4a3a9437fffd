/**
 * One logged-in socket, either door: bytes in to a handler, bytes out gathered per turn, back-pressure both ways.
 * Knows nothing of frames' meaning. Made by backend/server.ts and request/client.ts once log-in is over.
 */
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { readDirectly } from './direct-read.ts';
import type { TurnWriter } from './turn.ts';

export interface WireHandler {
  /** Bytes from the peer. An exception from here closes this connection and is reported through `closed`. */
  received(chunk: Buffer): void;
  /** The peer took what was waiting; writing may go on. */
  drained(): void;
  /** May the peer be read? By the rules of flow.ts; asked after each event, and by `regulate()`. */
  readonly mayRead: boolean;
  /** The connection is gone; called exactly once. `error` undefined: an orderly end. */
  closed(error: Error | undefined): void;
}

/** Above this many bytes not yet taken by the peer, whoever feeds this wire should stop for a while. */
export const highWaterBytes = 256 * 1024;
/** Small pieces are copied together and written as one; larger ones are handed to the kernel as they are. */
const gatherBelowBytes = 32 * 1024;

export class Wire {
  readonly socket: Socket | TLSSocket;
  private readonly handler: WireHandler;
  private readonly turn: TurnWriter;
  private pending: Buffer[] = [];
  private pendingBytes = 0;
  private isScheduled = false;
  /** Bytes given to `send` in this turn. */
  private turnBytes = 0;
  /** Whether the peer is read: what the handler has said last. */
  isReading = true;
  private isClosed = false;
  private isEnding = false;
  receivedBytes = 0;
  sentBytes = 0;

  constructor(socket: Socket | TLSSocket, handler: WireHandler, turn: TurnWriter) {
    this.socket = socket;
    this.handler = handler;
    this.turn = turn;
    socket.on('data', (chunk: Buffer) => this.receive(chunk));
    socket.on('drain', () => this.drained());
    socket.on('error', (error) => this.close(error));
    socket.on('end', () => this.close(undefined));
    socket.on('close', () => this.close(undefined));
  }

  /** Bytes that came with the log-in are handed on first, then the socket flows. */
  start(leftover: Buffer): void {
    if (leftover.length > 0) this.receive(leftover);
    // Its end may have been told to whoever had it before: it is told only once.
    if (this.socket.destroyed || this.socket.readableEnded) this.close(undefined);
    if (this.isClosed) return;
    // What the stream has read ahead comes as 'data', before what is read without it.
    this.socket.read();
    readDirectly(this.socket, this.turn.input, (chunk) => this.receive(chunk));
    if (this.isReading) this.socket.resume();
  }

  private receive(chunk: Buffer): void {
    if (this.isClosed || this.isEnding) return;
    this.receivedBytes += chunk.length;
    try {
      this.handler.received(chunk);
    } catch (error) {
      this.close(error instanceof Error ? error : new Error(String(error)));
    }
    this.regulate();
  }

  private drained(): void {
    this.handler.drained();
    this.regulate();
  }

  /** To be called by whoever has changed what `mayRead` depends on, outside of `received` and `drained`. */
  regulate(): void {
    const { mayRead } = this.handler;
    if (mayRead === this.isReading || this.isClosed) return;
    this.isReading = mayRead;
    if (mayRead) this.socket.resume();
    else this.socket.pause();
  }

  /** Queues bytes for the end of this turn. The buffer must not be changed afterwards. */
  send(bytes: Buffer): void {
    if (this.isClosed || this.isEnding) return;
    this.pending.push(bytes);
    this.pendingBytes += bytes.length;
    this.turnBytes += bytes.length;
    if (!this.isScheduled) {
      this.isScheduled = true;
      this.turn.schedule(this);
    } else if (this.pendingBytes > highWaterBytes) {
      this.write();
    }
  }

  /** Called by the TurnWriter. */
  flush(): void {
    const { turnBytes } = this;
    this.isScheduled = false;
    this.turnBytes = 0;
    if (this.pendingBytes > 0 && !this.isClosed) this.write();
    // What the kernel takes at once brings no 'drain', though the wire was full until now.
    if (turnBytes > highWaterBytes && !this.isClosed && !this.socket.writableNeedDrain) this.drained();
  }

  private write(): void {
    const pending = this.pending;
    this.sentBytes += this.pendingBytes;
    if (pending.length === 1) {
      this.pending = [];
      this.pendingBytes = 0;
      this.socket.write(pending[0] as Buffer);
      return;
    }
    if (this.pendingBytes <= gatherBelowBytes) {
      const bytes = Buffer.concat(pending, this.pendingBytes);
      pending.length = 0;
      this.pendingBytes = 0;
      this.socket.write(bytes);
      return;
    }
    this.pending = [];
    this.pendingBytes = 0;
    this.socket.cork();
    for (const bytes of pending) this.socket.write(bytes);
    this.socket.uncork();
  }

  /** Something was sent in this turn and has not left yet. */
  get hasPending(): boolean {
    return this.isScheduled;
  }

  /** The peer is slower than what it is sent. `drained` is called when that is over. */
  get isFull(): boolean {
    return !this.isClosed && this.socket.writableLength + this.pendingBytes > highWaterBytes;
  }

  /** `drained` is going to be called: the peer has not taken everything yet. */
  get willDrain(): boolean {
    return this.pendingBytes > 0 || this.socket.writableNeedDrain;
  }

  get isOpen(): boolean {
    return !this.isClosed && !this.isEnding;
  }

  /** The socket is not read at the moment, so its end is not seen either. */
  get isPaused(): boolean {
    return this.socket.isPaused();
  }

  /**
   * The end of a peer that is not read is not seen. What is written to one that is gone is refused by its machine, and the
   * next thing that is written finds that out. Where bytes are still on their way to the peer, they do the same.
   * @param bytes what does no harm to a peer that is still there
   */
  probe(bytes: Buffer): void {
    if (!this.isReading && !this.willDrain) this.send(bytes);
  }

  /** Sends what is queued and this, then closes; the peer gets a few seconds to take it. */
  end(lastWords?: Buffer): void {
    if (this.isClosed || this.isEnding) return;
    if (lastWords !== undefined) this.send(lastWords);
    if (this.pendingBytes > 0) this.write();
    this.isEnding = true;
    const socket = this.socket;
    const deadline = setTimeout(() => socket.destroy(), 5_000);
    deadline.unref();
    socket.once('close', () => clearTimeout(deadline));
    // Unread input would turn the close into a reset that can overtake our last words.
    socket.resume();
    socket.end();
    this.close(undefined, true);
  }

  destroy(): void {
    this.close(undefined);
  }

  private close(error: Error | undefined, isGentle = false): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.pending = [];
    this.pendingBytes = 0;
    if (!isGentle) this.socket.destroy();
    this.handler.closed(error);
  }
}
