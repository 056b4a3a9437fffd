/**
 * Gives each new connection to the worker with the fewest. While no worker serves, connections wait; what waits too long,
 * or is too much, is closed. Made by the supervisor.
 */
import type { Socket } from 'node:net';
import type { Entry } from './ipc.ts';

/** A worker, as far as it matters here. */
export interface Taker {
  readonly connections: number;
  /** False: it is gone. */
  give(entry: Entry, socket: Socket, ahead?: Uint8Array): boolean;
}

interface Waiting {
  readonly entry: Entry;
  readonly socket: Socket;
  readonly ahead: Uint8Array | undefined;
  readonly sinceMs: number;
}

export interface SpreadOptions {
  /** The workers that serve. */
  takers(): Iterable<Taker>;
  /** Connections that may wait for a worker. */
  mostWaiting(): number;
  /** How long they may. */
  longestWaitMs(): number;
  nowMs(): number;
}

/** Those with the fewest connections come first. */
export function fewestFirst<T extends Pick<Taker, 'connections'>>(takers: Iterable<T>): T[] {
  return [...takers].sort((a, b) => a.connections - b.connections);
}

export class Spread {
  private readonly options: SpreadOptions;
  private readonly waiting: Waiting[] = [];

  constructor(options: SpreadOptions) {
    this.options = options;
  }

  get waitingCount(): number {
    return this.waiting.length;
  }

  /** @param ahead bytes that were read from it already, by a worker that has given it back */
  add(entry: Entry, socket: Socket, ahead?: Uint8Array): void {
    socket.on('error', () => socket.destroy());
    if (this.waiting.length === 0 && this.give(entry, socket, ahead)) return;
    if (this.waiting.length >= this.options.mostWaiting()) return void socket.destroy();
    this.waiting.push({ entry, socket, ahead, sinceMs: this.options.nowMs() });
  }

  /** A worker serves now. */
  retry(): void {
    while (this.waiting.length > 0) {
      const { entry, socket, ahead } = this.waiting[0] as Waiting;
      if (!socket.destroyed && !this.give(entry, socket, ahead)) return;
      this.waiting.shift();
    }
  }

  /** Closes what has waited too long. */
  sweep(): void {
    const oldestMs = this.options.nowMs() - this.options.longestWaitMs();
    while (this.waiting[0] !== undefined && this.waiting[0].sinceMs < oldestMs) this.waiting.shift()?.socket.destroy();
  }

  close(): void {
    for (const { socket } of this.waiting.splice(0)) socket.destroy();
  }

  private give(entry: Entry, socket: Socket, ahead: Uint8Array | undefined): boolean {
    return fewestFirst(this.options.takers()).some((taker) => taker.give(entry, socket, ahead));
  }
}
