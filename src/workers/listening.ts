/**
 * The sockets on which a Weir with several processes listens: TCP, the Unix socket, HTTP. Opens them, or takes them over from the
 * supervisor before. Accepts connections and passes them on unread. Made by the supervisor.
 */
import { createServer, type Server, type Socket } from 'node:net';
import type { Config, HostPort } from '../config/config.ts';
import { listenTcp } from '../frontend/listen-tcp.ts';
import { TcpServers, type TcpSettings } from '../frontend/tcp-servers.ts';
import { openUnixSocket, takeUnixSocket, type UnixSocket } from '../frontend/unix-socket.ts';
import type { Log } from '../observability/types.ts';
import { assignSockets, handleOf, openSockets, type PassedFd } from '../systemd/open-sockets.ts';
import type { ListenHandle, OpenSocket } from '../systemd/types.ts';
import { backlog } from '../util/listen-options.ts';
import type { Entry } from './ipc.ts';

/** A listening socket that goes from one supervisor to the next. */
export interface PassedListener {
  readonly entry: Entry;
  /** Of the socket unit; undefined: Weir has opened it. */
  readonly unit: string | undefined;
  /** Of a Unix socket that Weir has opened. */
  readonly path: string | undefined;
}

export interface OpenListener {
  readonly listener: PassedListener;
  readonly handle: ListenHandle;
}

export interface ListeningOptions {
  readonly config: Config;
  /** Sockets that systemd has opened. */
  readonly passedFds: readonly PassedFd[];
  /** Instead of all others: those of the supervisor before, as file descriptors. */
  readonly taken?: readonly (PassedListener & { readonly fd: number })[] | undefined;
  readonly log: Log;
  /** A new connection, paused. */
  onSocket(entry: Entry, socket: Socket): void;
}

export class Listening {
  private readonly options: ListeningOptions;
  private readonly clients: TcpServers;
  private readonly http: Server;
  private readonly inherited = new Map<Entry, readonly OpenSocket[]>();
  private local: UnixSocket | undefined;

  constructor(options: ListeningOptions) {
    this.options = options;
    this.clients = new TcpServers(() => this.makeServer('plain'));
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
    if (!hasTcp) await this.clients.open(this.tcpSettings(), cannotAccept);
    if (config.unixSocketDir !== undefined && !hasLocal) {
      this.local = await openUnixSocket({
        dir: config.unixSocketDir,
        mode: config.unixSocketMode,
        port: this.address().port,
        ...this.localOptions(),
      });
    }
    if (config.http !== undefined && uses.http === undefined)
      await listenTcp(this.http, config.http, 'http', cannotAccept);
  }

  private tcpSettings(): TcpSettings {
    const { listen, listenAddresses: addresses, soReuseport: isShared } = this.options.config;
    return { listen, addresses, isShared };
  }

  private localOptions(): Pick<Parameters<typeof openUnixSocket>[0], 'pauseOnConnect' | 'onConnection' | 'onError'> {
    return {
      pauseOnConnect: true,
      onConnection: (socket) => this.options.onSocket('local', socket),
      onError: (error) => this.cannotAccept(error),
    };
  }

  /** Accepts from the sockets of the supervisor before. */
  async take(): Promise<void> {
    for (const { entry, unit, path, fd } of this.options.taken ?? []) {
      if (unit !== undefined) {
        for (const socket of await openSockets([{ fd, name: unit }], true)) this.acceptFrom(socket, entry);
      } else if (path !== undefined) {
        this.local = takeUnixSocket(fd, path, this.localOptions());
      } else if (entry === 'http') {
        this.http.on('error', (error) => this.cannotAccept(error));
        this.http.listen({ fd, backlog });
      } else this.clients.take(fd, (error) => this.cannotAccept(error));
    }
  }

  /** What the next supervisor has to listen on. */
  passed(): OpenListener[] {
    const own = (entry: Entry, server: Server | undefined, path?: string): OpenListener[] =>
      server?.listening === true ? [{ listener: { entry, unit: undefined, path }, handle: handleOf(server) }] : [];
    const units = Array.from(this.inherited, ([entry, sockets]) =>
      sockets.map((socket) => ({ listener: { entry, unit: socket.name, path: undefined }, handle: socket.handle() })),
    );
    return [
      ...this.clients.all().flatMap((server) => own('plain', server)),
      ...own('http', this.http),
      ...own('local', this.local?.server, this.local?.path),
      ...units.flat(),
    ];
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
    const { listen, listenAddresses, unixSocketDir } = this.options.config;
    const open = this.inherited.get('plain')?.[0]?.address ?? this.clients.address();
    if (open !== undefined || listenAddresses?.length !== 0 || unixSocketDir === undefined) return open ?? listen;
    // As libpq says it: the directory of the socket is the host.
    return { host: unixSocketDir, port: listen.port };
  }

  httpAddress(): HostPort | undefined {
    const inherited = this.inherited.get('http')?.[0]?.address;
    const { http, listen } = this.options.config;
    if (inherited !== undefined || (http === undefined && !this.http.listening)) return inherited;
    return addressOf(this.http, http ?? listen);
  }

  socketPath(): string | undefined {
    const [inherited] = this.inherited.get('local') ?? [];
    return inherited === undefined ? this.local?.path : `the Unix socket of ${inherited.name}`;
  }

  /** See Listener.stopAccepting(). Elsewhere workers refuse clients in words. */
  stopAccepting(where: 'shared' | 'own' | 'inherited'): void {
    if (where === 'inherited') for (const entry of ['plain', 'local'] as const) this.closeInherited(entry);
    else if (where === 'own' || this.options.config.soReuseport) this.clients.close();
  }

  /** No clients at all. HTTP goes on. */
  closeForClients(): void {
    this.clients.close();
    this.stopAccepting('inherited');
    this.local?.close();
    this.local = undefined;
  }

  close(): void {
    this.closeForClients();
    if (this.http.listening) this.http.close();
    this.closeInherited('http');
  }

  /** The next supervisor does not take over: the files of the Unix socket are this process's again. */
  claim(): void {
    this.local?.claim();
  }

  /** The next supervisor listens: the files of the Unix socket stay. */
  release(): void {
    this.local?.server.close();
    this.local = undefined;
    this.close();
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
