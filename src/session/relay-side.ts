/**
 * One end of a connection whose bytes go to another end as they come, at the speed of the slower one. Knows where
 * messages begin and end, and nothing of what they say. Two of them are a replication connection (replication.ts).
 */
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { mayReadFor } from '../net/flow.ts';
import { Wire, type WireHandler } from '../net/wire.ts';
import type { TurnWriter } from '../net/turn.ts';
import { FrameScanner, type FrameSink } from '../protocol/scanner.ts';

export interface RelayWatcher {
  /** A message of this type was handed on to its last byte. */
  seen(type: number): void;
  /** What came is no message. */
  failed(error: Error): void;
  /** This end is gone. */
  closed(error: Error | undefined): void;
}

export class RelaySide implements WireHandler, FrameSink {
  readonly wire: Wire;
  private readonly watcher: RelayWatcher;
  private readonly scanner = new FrameScanner(this);
  private other: RelaySide | undefined;
  private isStopped = false;
  private streamedType = 0;
  private lastType = 0;
  /** What of the current chunk is still to be handed on: store[start, end). */
  private store: Buffer | undefined;
  private start = 0;
  private end = 0;

  constructor(socket: Socket | TLSSocket, turn: TurnWriter, watcher: RelayWatcher) {
    this.watcher = watcher;
    this.wire = new Wire(socket, this, turn);
  }

  relayTo(other: RelaySide): void {
    this.other = other;
  }

  /** The other end has got whole messages only. */
  get isBetweenMessages(): boolean {
    return this.streamedType === 0;
  }

  /** Its last message was of this type. */
  hasSaid(type: number): boolean {
    return this.lastType === type;
  }

  /** Nothing more is handed on. */
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

  /** This end takes bytes again. */
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
