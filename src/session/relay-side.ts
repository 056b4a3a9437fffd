/**
 * One side of a connection that relays its bytes to another side as they come, at the speed of the slower one. Knows
 * where messages begin and end, not what they contain. Two of them make a replication connection (replication.ts).
 */
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { mayReadFor } from '../net/flow.ts';
import { Wire, type WireHandler } from '../net/wire.ts';
import type { Side } from '../net/suspension.ts';
import type { TurnWriter } from '../net/turn.ts';
import { FrameScanner, type FrameSink } from '../protocol/scanner.ts';

export interface RelayWatcher {
  /** A message of this type was relayed completely. */
  seen(type: number): void;
  /** The received bytes are not a valid message. */
  failed(error: Error): void;
  /** This side's connection is closed. */
  closed(error: Error | undefined): void;
}

export class RelaySide implements WireHandler, FrameSink {
  readonly side: Side;
  readonly wire: Wire;
  private readonly watcher: RelayWatcher;
  private readonly scanner = new FrameScanner(this);
  private other: RelaySide | undefined;
  private isStopped = false;
  private streamedType = 0;
  private lastType = 0;
  /** The part of the current chunk that is still to be relayed: store[start, end). */
  private store: Buffer | undefined;
  private start = 0;
  private end = 0;

  constructor(side: Side, socket: Socket | TLSSocket, turn: TurnWriter, watcher: RelayWatcher) {
    this.side = side;
    this.watcher = watcher;
    this.wire = new Wire(socket, this, turn);
  }

  relayTo(other: RelaySide): void {
    this.other = other;
  }

  /** The other side has received only whole messages. */
  get isBetweenMessages(): boolean {
    return this.streamedType === 0;
  }

  /** The last message received was of this type. */
  hasSaid(type: number): boolean {
    return this.lastType === type;
  }

  /** Relays nothing more. */
  stop(): void {
    this.isStopped = true;
    this.flush();
  }

  /* ---- WireHandler ---- */

  received(chunk: Buffer): void {
    if (this.isStopped) return;
    try {
      this.scanner.push(chunk);
    } catch (error) {
      this.stop();
      return this.watcher.failed(error instanceof Error ? error : new Error(String(error)));
    }
    this.flush();
  }

  get mayRead(): boolean {
    return mayReadFor(this.other?.wire);
  }

  /** This side's output is no longer full. */
  drained(): void {
    this.other?.wire.regulate();
  }

  closed(error: Error | undefined): void {
    this.watcher.closed(error);
  }

  /* ---- FrameSink ---- */

  mayStream(): boolean {
    return true;
  }

  frame(type: number, buffer: Buffer, start: number, end: number): boolean {
    return this.handOn(buffer, start, end) && this.ended(type);
  }

  begin(type: number, _size: number, buffer: Buffer, start: number, end: number): boolean {
    this.streamedType = type;
    return this.handOn(buffer, start, end);
  }

  more(buffer: Buffer, start: number, end: number, isLast: boolean): boolean {
    const type = this.streamedType;
    return this.handOn(buffer, start, end) && (!isLast || this.ended(type));
  }

  private ended(type: number): boolean {
    this.streamedType = 0;
    this.lastType = type;
    this.watcher.seen(type);
    return !this.isStopped;
  }

  private handOn(buffer: Buffer, start: number, end: number): boolean {
    if (this.isStopped) return false;
    if (this.store !== buffer || this.end !== start) {
      this.flush();
      this.store = buffer;
      this.start = start;
    }
    this.end = end;
    return true;
  }

  private flush(): void {
    const { store } = this;
    this.store = undefined;
    if (store !== undefined && this.end > this.start) this.other?.wire.send(store.subarray(this.start, this.end));
  }
}
