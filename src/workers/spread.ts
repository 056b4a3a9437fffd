/**
 * Gives each new connection, and each client that another worker gives away, to the worker with the fewest that has room for it.
 * While none has, they wait, clients in front; what waits too long, or is too much, is closed. Made by the supervisor.
 */
import type { Socket } from 'node:net';
import type { Entry, Moved } from './ipc.ts';
import type { Room } from './passing.ts';

/** A worker, as far as it matters here. Both methods: false, it is gone. */
export interface Taker {
  readonly connections: number;
  readonly room: Room;
  give(entry: Entry, socket: Socket, ahead?: Uint8Array): boolean;
  giveMoved(socket: Socket, moved: Moved): boolean;
}

interface NewConnection {
  readonly entry: Entry;
  readonly socket: Socket;
  /** What another process has read from it. */
  readonly ahead: Uint8Array | undefined;
}

interface MovedClient {
  readonly socket: Socket;
  readonly moved: Moved;
}

type Comer = NewConnection | MovedClient;

interface Waiting {
  readonly comer: Comer;
  readonly sinceMs: number;
}

/** Takes what is left when another supervisor works. */
export interface Heir {
  accepted(entry: Entry, socket: Socket, ahead: Uint8Array | undefined): void;
  moved(socket: Socket, moved: Moved): void;
}

export interface SpreadOptions {
  /** The workers that serve. */
  takers(): Iterable<Taker>;
  /** New connections are closed while so many wait. */
  mostWaiting(): number;
  /** How long they may. */
  longestWaitMs(): number;
  nowMs(): number;
}

/** Those with the fewest connections come first. */
function fewestFirst(takers: Iterable<Taker>): Taker[] {
  return [...takers].sort((a, b) => a.connections - b.connections);
}

function giveTo(taker: Taker, comer: Comer): boolean {
  if ('moved' in comer) return taker.giveMoved(comer.socket, comer.moved);
  return taker.give(comer.entry, comer.socket, comer.ahead);
}

export class Spread {
  private readonly options: SpreadOptions;
  private readonly clients: Waiting[] = [];
  private readonly connections: Waiting[] = [];

  constructor(options: SpreadOptions) {
    this.options = options;
  }

  get waitingCount(): number {
    return this.clients.length + this.connections.length;
  }

  /** @param ahead what another process has read from it */
  add(entry: Entry, socket: Socket, ahead?: Uint8Array): void {
    if (this.connections.length >= this.options.mostWaiting()) return void socket.destroy();
    this.wait(this.connections, { entry, socket, ahead });
  }

  /** Clients were let in already, and are in the midst of their work: none is too much. */
  addMoved(socket: Socket, moved: Moved): void {
    this.wait(this.clients, { socket, moved });
  }

  private wait(queue: Waiting[], comer: Comer): void {
    const { socket } = comer;
    socket.on('error', () => socket.destroy());
    queue.push({ comer, sinceMs: this.options.nowMs() });
    this.retry();
  }

  /** A worker serves now, or has room again. */
  retry(): void {
    for (const queue of [this.clients, this.connections]) {
      while (queue[0] !== undefined) {
        const { comer } = queue[0];
        if (!comer.socket.destroyed && !this.give(comer)) return;
        queue.shift();
      }
    }
  }

  /** Call several times a second: closes what has waited too long, and gives what waits for a worker that is stuck to another. */
  sweep(): void {
    const oldestMs = this.options.nowMs() - this.options.longestWaitMs();
    for (const queue of [this.clients, this.connections])
      while (queue[0] !== undefined && queue[0].sinceMs < oldestMs) queue.shift()?.comer.socket.destroy();
    this.retry();
  }

  private takeAll(): Waiting[] {
    return [...this.clients.splice(0), ...this.connections.splice(0)];
  }

  close(): void {
    for (const { comer } of this.takeAll()) comer.socket.destroy();
  }

  /** Nothing waits here any more. */
  leaveTo(heir: Heir): void {
    for (const { comer } of this.takeAll()) {
      if ('moved' in comer) heir.moved(comer.socket, comer.moved);
      else heir.accepted(comer.entry, comer.socket, comer.ahead);
    }
  }

  private give(comer: Comer): boolean {
    for (const taker of fewestFirst(this.options.takers())) {
      // Who has the fewest gets it, unless that takes long.
      if (taker.room === 'soon') return false;
      if (taker.room === 'free' && giveTo(taker, comer)) return true;
    }
    return false;
  }
}
