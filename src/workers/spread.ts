/**
 * Gives each new connection, and each client that another worker gives away, to the worker with the fewest that has room for it.
 * While none has, they wait, clients in front; what waits too long, or is too much, is closed. Made by the supervisor.
 */
import type { Socket } from 'node:net';
import type { Entry, Moved } from './ipc.ts';
import type { NextSupervisor } from './next-supervisor.ts';
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

type Arrival = NewConnection | MovedClient;

interface Waiting {
  readonly arrival: Arrival;
  readonly sinceMs: number;
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

function giveTo(taker: Taker, arrival: Arrival): boolean {
  if ('moved' in arrival) return taker.giveMoved(arrival.socket, arrival.moved);
  return taker.give(arrival.entry, arrival.socket, arrival.ahead);
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

  private wait(queue: Waiting[], arrival: Arrival): void {
    const { socket } = arrival;
    socket.on('error', () => socket.destroy());
    queue.push({ arrival, sinceMs: this.options.nowMs() });
    this.retry();
  }

  /** A worker serves now, or has room again. */
  retry(): void {
    for (const queue of [this.clients, this.connections]) {
      while (queue[0] !== undefined) {
        const { arrival } = queue[0];
        if (!arrival.socket.destroyed && !this.give(arrival)) return;
        queue.shift();
      }
    }
  }

  /** Call several times a second: closes what has waited too long, and gives what waits for a worker that is stuck to another. */
  sweep(): void {
    const oldestMs = this.options.nowMs() - this.options.longestWaitMs();
    for (const queue of [this.clients, this.connections])
      while (queue[0] !== undefined && queue[0].sinceMs < oldestMs) queue.shift()?.arrival.socket.destroy();
    this.retry();
  }

  private takeAll(): Waiting[] {
    return [...this.clients.splice(0), ...this.connections.splice(0)];
  }

  close(): void {
    for (const { arrival } of this.takeAll()) arrival.socket.destroy();
  }

  /** Another supervisor works now: what waits here is for that one. */
  leaveTo(next: Pick<NextSupervisor, 'accepted' | 'moved'>): void {
    for (const { arrival } of this.takeAll()) {
      if ('moved' in arrival) next.moved(arrival.socket, arrival.moved);
      else next.accepted(arrival.entry, arrival.socket, arrival.ahead);
    }
  }

  private give(arrival: Arrival): boolean {
    for (const taker of fewestFirst(this.options.takers())) {
      // Who has the fewest gets it, unless that takes long.
      if (taker.room === 'soon') return false;
      if (taker.room === 'free' && giveTo(taker, arrival)) return true;
    }
    return false;
  }
}
