/**
 * A TCP relay in this process that stands between a client and a server and misbehaves on command: black hole, cut,
 * reset, delay, death after so many bytes. For what happens between Weir and its nodes, its Redis or its clients.
 */
import { connect, createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';

/** pass: as if it were not there; blackhole: connections stay, nothing moves; refuse: new connections are reset. */
export type RelayMode = 'pass' | 'blackhole' | 'refuse';

type Direction = 'toServer' | 'toClient';

/** What does not move in a black hole; empty: nothing does. */
export interface Held {
  readonly direction?: Direction;
  /** Only connections of clients that have begun by saying this. */
  readonly saying?: string;
}

interface Pair {
  readonly client: Socket;
  readonly server: Socket;
  /** What the client has said first. */
  said: string;
}

const saidBytes = 4_096;

const ends = ({ client, server }: Pair, direction: Direction): [from: Socket, to: Socket] =>
  direction === 'toServer' ? [client, server] : [server, client];

export interface RelayTarget {
  readonly host?: string;
  readonly port: number;
}

export class TcpRelay {
  readonly host: string;
  /** Each chunk, in both directions, is passed on this much later. */
  delayMs = 0;
  /** Bytes passed so far to the server and to the client, over all connections. */
  readonly passed = { toServer: 0, toClient: 0 };
  /** Connections accepted so far. */
  accepted = 0;
  /** Told of everything that passes; connections are numbered from 1. */
  onPassed: ((bytes: Buffer, direction: Direction, connection: number) => void) | undefined;
  #target: RelayTarget;
  #mode: RelayMode = 'pass';
  #held: Held = {};
  #cutAfter = { toServer: Infinity, toClient: Infinity };
  readonly #pairs = new Set<Pair>();
  readonly #listener: Server;

  private constructor(target: RelayTarget, host: string) {
    this.host = host;
    this.#target = target;
    this.#listener = createServer({ allowHalfOpen: true }, (client) => this.#accept(client));
  }

  /** @param at where it listens; default a free port of 127.0.0.1 */
  static async start(target: RelayTarget, at: { host?: string; port?: number } = {}): Promise<TcpRelay> {
    const relay = new TcpRelay(target, at.host ?? '127.0.0.1');
    await new Promise<void>((resolve, reject) => {
      relay.#listener.once('error', reject).listen(at.port ?? 0, relay.host, resolve);
    });
    return relay;
  }

  get port(): number {
    return (this.#listener.address() as AddressInfo).port;
  }

  get connections(): number {
    return this.#pairs.size;
  }

  get mode(): RelayMode {
    return this.#mode;
  }

  /** New connections go there from now on. */
  retarget(target: RelayTarget): void {
    this.#target = target;
  }

  setMode(mode: RelayMode): void {
    this.#mode = mode;
    for (const pair of this.#pairs) this.#settle(pair);
  }

  /** Connections stay open, nothing moves any more, or not what is `held`, also of new ones: a pulled cable. */
  blackhole(held: Held = {}): void {
    this.#held = held;
    this.setMode('blackhole');
  }

  /** Everything flows again; what was held back is delivered. */
  pass(): void {
    this.setMode('pass');
  }

  /** Ends every connection with FIN in both directions. */
  cut(): void {
    for (const { client, server } of this.#pairs) {
      client.destroy();
      server.destroy();
    }
  }

  /** Ends every connection with RST in both directions. */
  reset(): void {
    for (const { client, server } of this.#pairs) {
      client.resetAndDestroy();
      server.resetAndDestroy();
    }
  }

  /** Lets exactly so many more bytes pass in one direction (over all connections), then cuts every connection. */
  cutAfter(bytes: number, direction: Direction = 'toClient'): void {
    this.#cutAfter[direction] = this.passed[direction] + bytes;
  }

  async stop(): Promise<void> {
    const closed = new Promise((resolve) => this.#listener.close(resolve));
    this.cut();
    await closed;
  }

  #accept(client: Socket): void {
    this.accepted++;
    if (this.#mode === 'refuse') {
      client.on('error', () => undefined).resetAndDestroy();
      return;
    }
    const server = connect({ host: this.#target.host ?? '127.0.0.1', port: this.#target.port, allowHalfOpen: true });
    const pair = { client, server, said: '' };
    this.#pairs.add(pair);
    for (const socket of [client, server]) {
      socket.setNoDelay(true);
      socket.on('error', () => undefined);
      socket.once('close', () => {
        this.#pairs.delete(pair);
        (socket === client ? server : client).destroy();
      });
    }
    const connection = this.accepted;
    this.#pipe(pair, 'toServer', connection);
    this.#pipe(pair, 'toClient', connection);
    this.#settle(pair);
  }

  #isHeld(pair: Pair, direction: Direction): boolean {
    const { direction: heldDirection = direction, saying = '' } = this.#held;
    return this.#mode === 'blackhole' && heldDirection === direction && pair.said.includes(saying);
  }

  #settle(pair: Pair): void {
    for (const direction of ['toServer', 'toClient'] as const) {
      const [from] = ends(pair, direction);
      if (this.#isHeld(pair, direction)) from.pause();
      else from.resume();
    }
  }

  #pipe(pair: Pair, direction: Direction, connection: number): void {
    const [from, to] = ends(pair, direction);
    from.on('data', (chunk: Buffer) => {
      if (direction === 'toServer' && pair.said.length < saidBytes) {
        pair.said += chunk.toString('latin1');
        if (this.#mode === 'blackhole') this.#settle(pair);
      }
      // Said only now, that it is one of those.
      if (this.#isHeld(pair, direction)) return from.unshift(chunk);
      this.#later(() => {
        this.onPassed?.(chunk, direction, connection);
        this.#forward(chunk, pair, direction);
      });
    });
    from.on('end', () => this.#later(() => to.end()));
  }

  #forward(chunk: Buffer, pair: Pair, direction: Direction): void {
    const [from, to] = ends(pair, direction);
    if (to.destroyed) return;
    const left = this.#cutAfter[direction] - this.passed[direction];
    const part = left >= chunk.length ? chunk : chunk.subarray(0, left);
    this.passed[direction] += part.length;
    if (part.length < chunk.length || left === part.length) {
      this.#cutAfter[direction] = Infinity;
      to.write(part, () => this.cut());
      return;
    }
    if (to.write(part)) return;
    from.pause();
    to.once('drain', () => {
      if (!this.#isHeld(pair, direction)) from.resume();
    });
  }

  #later(act: () => void): void {
    if (this.delayMs > 0) setTimeout(act, this.delayMs);
    else act();
  }
}
