/**
 * A TCP relay in this process that stands between a client and a server and misbehaves on command: black hole, cut,
 * reset, delay, death after so many bytes. For what happens between Weir and its nodes, its Redis or its clients.
 */
import { connect, createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';

/** pass: as if it were not there; blackhole: connections stay, nothing moves; refuse: new connections are reset. */
export type RelayMode = 'pass' | 'blackhole' | 'refuse';

interface Pair {
  readonly client: Socket;
  readonly server: Socket;
}

export interface RelayTarget {
  readonly host?: string;
  readonly port: number;
}

export class TcpRelay {
  readonly host = '127.0.0.1';
  /** Each chunk, in both directions, is passed on this much later. */
  delayMs = 0;
  /** Bytes passed so far to the server and to the client, over all connections. */
  readonly passed = { toServer: 0, toClient: 0 };
  /** Connections accepted so far. */
  accepted = 0;
  /** Told of everything that passes; connections are numbered from 1. */
  onPassed: ((bytes: Buffer, direction: 'toServer' | 'toClient', connection: number) => void) | undefined;
  #target: RelayTarget;
  #mode: RelayMode = 'pass';
  #cutAfter = { toServer: Infinity, toClient: Infinity };
  readonly #pairs = new Set<Pair>();
  readonly #listener: Server;

  private constructor(target: RelayTarget) {
    this.#target = target;
    this.#listener = createServer({ allowHalfOpen: true }, (client) => this.#accept(client));
  }

  static async start(target: RelayTarget): Promise<TcpRelay> {
    const relay = new TcpRelay(target);
    await new Promise<void>((resolve, reject) => {
      relay.#listener.once('error', reject).listen(0, relay.host, resolve);
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
    for (const { client, server } of this.#pairs) {
      for (const socket of [client, server]) {
        if (mode === 'blackhole') socket.pause();
        else socket.resume();
      }
    }
  }

  /** Connections stay open, nothing moves any more: a pulled cable. */
  blackhole(): void {
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
  cutAfter(bytes: number, direction: 'toServer' | 'toClient' = 'toClient'): void {
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
    const pair = { client, server };
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
    this.#pipe(client, server, 'toServer', connection);
    this.#pipe(server, client, 'toClient', connection);
    if (this.#mode === 'blackhole') for (const socket of [client, server]) socket.pause();
  }

  #pipe(from: Socket, to: Socket, direction: 'toServer' | 'toClient', connection: number): void {
    from.on('data', (chunk: Buffer) =>
      this.#later(() => {
        this.onPassed?.(chunk, direction, connection);
        this.#forward(chunk, from, to, direction);
      }),
    );
    from.on('end', () => this.#later(() => to.end()));
  }

  #forward(chunk: Buffer, from: Socket, to: Socket, direction: 'toServer' | 'toClient'): void {
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
      if (this.#mode !== 'blackhole') from.resume();
    });
  }

  #later(act: () => void): void {
    if (this.delayMs > 0) setTimeout(act, this.delayMs);
    else act();
  }
}
