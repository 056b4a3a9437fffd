/**
 * Listens for clients and gives each connection to the client acceptor. Knows addresses and accept errors, nothing of
 * the protocol. Made by app/parts.ts.
 */
import { createServer, type Server } from 'node:net';
import type { AuthOptions } from '../auth/authenticator.ts';
import type { HostPort, TlsSide } from '../config/config.ts';
import type { OpenSocket } from '../systemd/types.ts';
import { clientSocketOptions } from '../util/listen-options.ts';
import { createAcceptor, type ClientAcceptor } from './client-acceptor.ts';
import { TcpServers } from './tcp-servers.ts';
import type { Arrivals, ListenerOptions } from './types.ts';
import type { UnixSocket } from './unix-socket.ts';
import { openUnixSocket } from './unix-socket.ts';

export type { AcceptorOptions, ListenerOptions, LoggedInClient, RefusalReason } from './types.ts';

export interface Listener {
  readonly arrivals: Arrivals;
  /**
   * Listens on the sockets that are open already, and opens what is not among them. Rejects with an error that names the
   * address and what to do.
   */
  listen(open?: readonly OpenSocket[]): Promise<void>;
  /** The address it listens on, with the actual port if 0 was configured. */
  address(): HostPort;
  /** Path of the Unix socket, if there is one; of a socket of systemd, its name. */
  socketPath(): string | undefined;
  /**
   * Stops accepting clients where another Weir can: on addresses that it shares (so_reuseport), or on sockets that systemd keeps
   * open for the next Weir; or on the addresses that it has opened itself.
   */
  stopAccepting(where: 'shared' | 'own' | 'inherited'): void;
  /** Stops listening, and ends log-ins with shutting_down. Clients that have logged in are not affected. */
  close(): Promise<void>;
  /**
   * Changes TLS and, if given, authentication for new clients.
   * @throws TlsSettingError, and then changes nothing
   */
  reload(tls: TlsSide, auth?: AuthOptions): void;
}

/** @throws TlsSettingError if the TLS settings cannot be used */
export function createListener(options: ListenerOptions): Listener {
  return new AddressListener(options);
}

class AddressListener implements Listener {
  private readonly options: ListenerOptions;
  private readonly acceptor: ClientAcceptor;
  private readonly own: TcpServers;
  private inherited: readonly OpenSocket[] = [];
  private local: UnixSocket | undefined;

  constructor(options: ListenerOptions) {
    this.options = options;
    this.acceptor = createAcceptor(options);
    this.own = new TcpServers(() => this.makeServer());
  }

  private makeServer(): Server {
    return createServer(clientSocketOptions).on('connection', (socket) => this.acceptor.accept(socket, 'plain'));
  }

  get arrivals(): Arrivals {
    return this.acceptor;
  }

  async listen(open: readonly OpenSocket[] = []): Promise<void> {
    this.inherited = open;
    for (const socket of open) this.acceptFrom(socket);
    const { unixSocket } = this.options;
    if (!open.some(({ address }) => address !== undefined)) await this.own.open(this.options, this.cannotAccept);
    if (unixSocket === undefined || open.some(({ address }) => address === undefined)) return;
    this.local = await openUnixSocket({
      ...unixSocket,
      port: this.address().port,
      onConnection: (socket) => this.acceptor.accept(socket, 'local'),
      onError: this.cannotAccept,
    });
  }

  address(): HostPort {
    for (const { address } of this.inherited) if (address !== undefined) return address;
    const { listen, addresses, unixSocket } = this.options;
    // As libpq says it: the directory of the socket is the host.
    const isSocketOnly = addresses?.length === 0 && unixSocket !== undefined;
    return this.own.address() ?? (isSocketOnly ? { host: unixSocket.dir, port: listen.port } : listen);
  }

  socketPath(): string | undefined {
    const inherited = this.inherited.find(({ address }) => address === undefined);
    return inherited === undefined ? this.local?.path : `the Unix socket of ${inherited.name}`;
  }

  stopAccepting(where: 'shared' | 'own' | 'inherited'): void {
    if (where === 'inherited') for (const socket of this.inherited) socket.close();
    else if (where === 'own' || this.options.isShared === true) this.own.close();
  }

  async close(): Promise<void> {
    this.own.close();
    this.stopAccepting('inherited');
    this.local?.close();
    this.local = undefined;
    await this.acceptor.close();
  }

  reload(tls: TlsSide, auth?: AuthOptions): void {
    this.acceptor.reload(tls, auth);
  }

  private acceptFrom(socket: OpenSocket): void {
    const layer = socket.address === undefined ? 'local' : 'plain';
    socket.onError(this.cannotAccept);
    socket.onConnection((client) => this.acceptor.accept(client, layer));
  }

  private readonly cannotAccept = (error: Error): void => {
    const message = `cannot accept a connection: ${error.message}`;
    this.options.log('error', 'accept_failed', message, { hint: 'Raise the limit of open files (ulimit -n).' });
  };
}
