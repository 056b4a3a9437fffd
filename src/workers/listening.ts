/**
 * The sockets on which a Weir with several processes listens: TCP, the Unix socket, HTTP. Accepts connections and passes
 * them on unread. Made by the supervisor.
 */
import { createServer, type Server, type Socket } from 'node:net';
import type { Config, HostPort } from '../config/config.ts';
import { listenTcp } from '../frontend/listen-tcp.ts';
import { openUnixSocket, type UnixSocket } from '../frontend/unix-socket.ts';
import type { Log } from '../observability/types.ts';
import type { Entry } from './ipc.ts';

export interface ListeningOptions {
  readonly config: Config;
  readonly log: Log;
  /** A new connection, paused. */
  onSocket(entry: Entry, socket: Socket): void;
}

export class Listening {
  private readonly options: ListeningOptions;
  private readonly clients: Server;
  private readonly http: Server;
  private local: UnixSocket | undefined;

  constructor(options: ListeningOptions) {
    this.options = options;
    this.clients = this.makeServer('plain');
    this.http = this.makeServer('http');
  }

  private makeServer(entry: Entry): Server {
    return createServer({ pauseOnConnect: true }, (socket) => this.options.onSocket(entry, socket));
  }

  /** Rejects with an Error that tells the operator what to do. Listens nowhere then. */
  async open(): Promise<void> {
    try {
      await this.openAll();
    } catch (error) {
      this.close();
      throw error;
    }
  }

  private async openAll(): Promise<void> {
    const { config } = this.options;
    const cannotAccept = (error: Error): void => this.cannotAccept(error);
    await listenTcp(this.clients, config.listen, 'listen', cannotAccept);
    if (config.unixSocketDir !== undefined) {
      this.local = await openUnixSocket({
        dir: config.unixSocketDir,
        mode: config.unixSocketMode,
        port: this.address().port,
        pauseOnConnect: true,
        onConnection: (socket) => this.options.onSocket('local', socket),
        onError: cannotAccept,
      });
    }
    if (config.http !== undefined) await listenTcp(this.http, config.http, 'http', cannotAccept);
  }

  private cannotAccept(error: Error): void {
    const message = `cannot accept a connection: ${error.message}`;
    this.options.log('error', 'accept_failed', message, { hint: 'Raise the limit of open files (ulimit -n).' });
  }

  /** With the port that was chosen if 0 was configured. */
  address(): HostPort {
    return addressOf(this.clients, this.options.config.listen);
  }

  httpAddress(): HostPort | undefined {
    const { http } = this.options.config;
    return http === undefined ? undefined : addressOf(this.http, http);
  }

  socketPath(): string | undefined {
    return this.local?.path;
  }

  /** No new clients. HTTP goes on, so that /readyz can say so. */
  closeForClients(): void {
    if (this.clients.listening) this.clients.close();
    this.local?.close();
    this.local = undefined;
  }

  close(): void {
    this.closeForClients();
    if (this.http.listening) this.http.close();
  }
}

function addressOf(server: Server, configured: HostPort): HostPort {
  const found = server.address();
  if (found === null || typeof found === 'string') return configured;
  return { host: found.address, port: found.port };
}
