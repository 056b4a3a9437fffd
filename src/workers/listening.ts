/**
 * The sockets on which a Weir with several processes listens: TCP, the Unix socket, HTTP. Accepts connections and passes
 * them on unread. Made by the supervisor.
 */
import { createServer, type Server, type Socket } from 'node:net';
import type { Config, HostPort } from '../config/config.ts';
import { listenTcp } from '../frontend/listen-tcp.ts';
import { openUnixSocket, type UnixSocket } from '../frontend/unix-socket.ts';
import type { Log } from '../observability/types.ts';
import { assignSockets, openSockets, type PassedFd } from '../systemd/open-sockets.ts';
import type { OpenSocket } from '../systemd/types.ts';
import type { Entry } from './ipc.ts';

export interface ListeningOptions {
  readonly config: Config;
  /** Sockets that systemd has opened. */
  readonly passedFds: readonly PassedFd[];
  readonly log: Log;
  /** A new connection, paused. */
  onSocket(entry: Entry, socket: Socket): void;
}

export class Listening {
  private readonly options: ListeningOptions;
  private readonly clients: Server;
  private readonly http: Server;
  private readonly inherited = new Map<Entry, readonly OpenSocket[]>();
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
    const uses = assignSockets(await openSockets(this.options.passedFds, true), config.http);
    for (const socket of uses.clients) this.acceptFrom(socket, socket.address === undefined ? 'local' : 'plain');
    if (uses.http !== undefined) this.acceptFrom(uses.http, 'http');
    const hasTcp = uses.clients.some(({ address }) => address !== undefined);
    const hasLocal = uses.clients.some(({ address }) => address === undefined);
    if (!hasTcp)
      await listenTcp(this.clients, { ...config.listen, isShared: config.soReuseport }, 'listen', cannotAccept);
    if (config.unixSocketDir !== undefined && !hasLocal) {
      this.local = await openUnixSocket({
        dir: config.unixSocketDir,
        mode: config.unixSocketMode,
        port: this.address().port,
        pauseOnConnect: true,
        onConnection: (socket) => this.options.onSocket('local', socket),
        onError: cannotAccept,
      });
    }
    if (config.http !== undefined && uses.http === undefined)
      await listenTcp(this.http, config.http, 'http', cannotAccept);
  }

  private acceptFrom(socket: OpenSocket, entry: Entry): void {
    this.inherited.set(entry, [...(this.inherited.get(entry) ?? []), socket]);
    socket.onError((error) => this.cannotAccept(error));
    socket.onConnection((client) => this.options.onSocket(entry, client));
  }

  private cannotAccept(error: Error): void {
    const message = `cannot accept a connection: ${error.message}`;
    this.options.log('error', 'accept_failed', message, { hint: 'Raise the limit of open files (ulimit -n).' });
  }

  /** With the port that was chosen if 0 was configured. */
  address(): HostPort {
    return this.inherited.get('plain')?.[0]?.address ?? addressOf(this.clients, this.options.config.listen);
  }

  httpAddress(): HostPort | undefined {
    const { http } = this.options.config;
    if (http === undefined) return undefined;
    return this.inherited.get('http')?.[0]?.address ?? addressOf(this.http, http);
  }

  socketPath(): string | undefined {
    const [inherited] = this.inherited.get('local') ?? [];
    return inherited === undefined ? this.local?.path : `the Unix socket of ${inherited.name}`;
  }

  /** Stops accepting clients where another Weir can. Elsewhere workers refuse them in words. */
  stopAccepting(where: 'shared' | 'inherited'): void {
    if (where === 'inherited') for (const entry of ['plain', 'local'] as const) this.closeInherited(entry);
    else if (this.options.config.soReuseport && this.clients.listening) this.clients.close();
  }

  /** No clients at all. HTTP goes on. */
  closeForClients(): void {
    if (this.clients.listening) this.clients.close();
    this.stopAccepting('inherited');
    this.local?.close();
    this.local = undefined;
  }

  close(): void {
    this.closeForClients();
    if (this.http.listening) this.http.close();
    this.closeInherited('http');
  }

  private closeInherited(entry: Entry): void {
    for (const socket of this.inherited.get(entry) ?? []) socket.close();
    this.inherited.delete(entry);
  }
}

function addressOf(server: Server, configured: HostPort): HostPort {
  const found = server.address();
  if (found === null || typeof found === 'string') return configured;
  return { host: found.address, port: found.port };
}
