/**
 * One socket after log-in, to a client or to a server: passes received bytes to a handler, writes the output once per
 * turn of the event loop, and applies back-pressure in both directions. Does not interpret messages. Made by
 * backend/server.ts, request/client.ts and session/relay-side.ts.
 */
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { readDirectly } from './direct-read.ts';
import { giveAway, type GivenAway } from './give-away.ts';
import type { Side } from './suspension.ts';
import type { TurnWriter } from './turn.ts';

export interface WireHandler {
  /** Who the peer is. */
  readonly side: Side;
  /** Bytes from the peer. An exception closes the connection and is passed to `closed`. */
  received(chunk: Buffer): void;
  /** The output is no longer full. */
  drained(): void;
  /** May the peer be read? Answered by the rules of flow.ts; asked after each event, and by regulate(). */
  readonly mayRead: boolean;
  /** The connection is closed. Called once. `error` is undefined if the peer closed it in the regular way. */
  closed(error: Error | undefined): void;
}

/** With more unsent bytes than this the wire is full: its writers should stop until `drained`. */
export const highWaterBytes = 256 * 1024;
/** Output up to this size is copied into one buffer; larger output is written in its pieces. */
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
  /** Whether the socket is read: the last answer of the handler's mayRead. */
  isReading = true;
  private isClosed = false;
  /** How many holdUntil() go on. */
  private holds = 0;
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

  /**
   * Starts to read.
   * @param leftover bytes that arrived with the log-in; the handler gets them first
   */
  start(leftover: Buffer): void {
    if (leftover.length > 0) this.receive(leftover);
    // The socket may have emitted 'end' or 'close' to its previous owner, and does so only once.
    if (this.socket.destroyed || this.socket.readableEnded) this.close(undefined);
    if (this.isClosed) return;
    // Bytes that the stream has read ahead must come, as 'data', before those of readDirectly().
    this.socket.read();
    readDirectly(this.socket, this.turn.input, (chunk) => this.receive(chunk));
    this.regulate();
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

  /** Asks mayRead again. Must be called after any change that it depends on, outside of `received` and `drained`. */
  regulate(): void {
    const mayRead = this.handler.mayRead && this.turn.suspension.mayRead(this.handler.side);
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
    } else if (this.pendingBytes > highWaterBytes && this.holds === 0) {
      this.write();
    }
  }

  /** Sends nothing of this turn, or later, before that has resolved. It must not reject. */
  holdUntil(over: Promise<void>): void {
    this.holds++;
    void over.then(() => {
      this.holds--;
      if (this.holds === 0 && this.isScheduled) this.flush();
    });
  }

  /** Called by the TurnWriter. */
  flush(): void {
    if (this.holds > 0) return;
    const { turnBytes } = this;
    this.isScheduled = false;
    this.turnBytes = 0;
    if (this.pendingBytes > 0 && !this.isClosed) this.write();
    // The wire was full, but the kernel has taken everything at once, so that there is no 'drain' event.
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

  /** Bytes of this turn wait to be written. */
  get hasPending(): boolean {
    return this.isScheduled;
  }

  /** Too many bytes wait to be sent, because the peer reads slowly. `drained` is called when that ends. */
  get isFull(): boolean {
    return !this.isClosed && this.socket.writableLength + this.pendingBytes > highWaterBytes;
  }

  /** Bytes that the kernel has not taken, because the peer does not read them. */
  get unsentBytes(): number {
    return this.pendingBytes + this.socket.writableLength;
  }

  /** Bytes that the kernel has taken. */
  get takenBytes(): number {
    return this.sentBytes - this.socket.writableLength;
  }

  /** Bytes wait to be sent, so that `drained` will be called. */
  get willDrain(): boolean {
    return this.pendingBytes > 0 || this.socket.writableNeedDrain;
  }

  get isOpen(): boolean {
    return !this.isClosed && !this.isEnding;
  }

  /** The socket is not read at the moment, so that its end would go unnoticed. */
  get isPaused(): boolean {
    return this.socket.isPaused();
  }

  /**
   * Finds out whether a peer that is not read has closed its connection, by writing to it: the first write makes the
   * peer's kernel answer with a reset, and the next write fails. Does nothing if bytes are being sent anyway.
   * @param bytes a message that a connected peer ignores
   */
  probe(bytes: Buffer): void {
    if (!this.isReading && !this.willDrain) this.send(bytes);
  }

  /** Sends what is queued, also what is held, and `lastWords`, then closes. The peer has five seconds to read it. */
  end(lastWords?: Buffer): void {
    this.endWithin(5_000, (socket) => socket.destroy(), lastWords);
  }

  /** The same for a peer that holds too much memory: what it does not read very soon is dropped, by the kernel too. */
  endSoon(lastWords: Buffer): void {
    this.endWithin(500, dropUnsent, lastWords);
  }

  private endWithin(ms: number, cut: (socket: Socket) => void, lastWords: Buffer | undefined): void {
    if (this.isClosed || this.isEnding) return;
    if (lastWords !== undefined) this.send(lastWords);
    if (this.pendingBytes > 0) this.write();
    this.isEnding = true;
    const socket = this.socket;
    const deadline = setTimeout(() => cut(socket), ms);
    deadline.unref();
    socket.once('close', () => clearTimeout(deadline));
    // Closing a socket with unread input sends a reset, which can make the peer lose the last message.
    socket.resume();
    socket.end();
    this.close(undefined, true);
  }

  destroy(): void {
    this.close(undefined);
  }

  /** Gives what is queued to the kernel without waiting for the end of this turn, unless it is held. */
  writeNow(): void {
    if (this.pendingBytes > 0 && !this.isClosed && this.holds === 0) this.write();
  }

  /** The kernel has everything that was sent. */
  get isDrained(): boolean {
    return this.pendingBytes === 0 && this.socket.writableLength === 0;
  }

  /**
   * Ends the wire, but not its connection. It must be drained, and canGiveAway its socket. The handler is told of its end,
   * and the listeners for 'close' of the old socket soon.
   */
  giveAway(): GivenAway {
    const { socket } = this;
    for (const event of ['data', 'drain', 'error', 'end']) socket.removeAllListeners(event);
    const given = giveAway(socket);
    this.close(undefined, true);
    return given;
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

/** After a reset the kernel keeps nothing of what the peer has not read. Only TCP without TLS has one. */
function dropUnsent(socket: Socket): void {
  if (socket.remoteAddress === undefined || 'encrypted' in socket) socket.destroy();
  else socket.resetAndDestroy();
}
