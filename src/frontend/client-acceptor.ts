/**
 * Accepts client connections: starts the log-in of each, does the TLS handshake where a client requests it, and bounds
 * the number of log-ins at the same time. Does not listen (frontend/listener.ts, which calls it) and does not serve
 * clients after their log-in (session/).
 */
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { AuthOptions } from '../auth/authenticator.ts';
import { createAuthenticator } from '../auth/authenticator.ts';
import type { TlsSide } from '../config/config.ts';
import { WeirError } from '../errors/errors.ts';
import type { MessageReader } from '../net/message-reader.ts';
import { ignoreError } from '../net/message-reader.ts';
import { clientTls } from '../net/tls.ts';
import { closeAfter, fatal } from './close-connection.ts';
import { FreshConnections } from './fresh-connections.ts';
import { Handshakes } from './handshakes.ts';
import type { LoginContext } from './login.ts';
import { logIn } from './login.ts';
import { Logins } from './logins.ts';
import type { Layer } from './startup.ts';
import type { AcceptorOptions, Arrivals, ClientSlots, GiveConnection } from './types.ts';

/** Console clients let in above max_client_conn. */
const consoleReserve = 8;

export interface ClientAcceptor extends Arrivals {
  /** Takes a new connection. Never throws. */
  accept(socket: Socket, layer: 'plain' | 'local'): void;
  /**
   * Changes TLS and authentication for new connections.
   * @throws TlsSettingError, and then changes nothing
   */
  reload(tls: TlsSide, auth?: AuthOptions): void;
  /** Ends present and future log-ins with shutting_down. Resolves when none is left. */
  close(): Promise<void>;
}

function makeConsoleSlots(limit: number): ClientSlots {
  let taken = 0;
  return {
    isFull: () => taken >= limit,
    tryEnter: () => (taken < limit ? ++taken > 0 : false),
    leave: () => void taken--,
  };
}

function clientSlotsOf(options: AcceptorOptions): ClientSlots {
  return {
    isFull: () => options.isFull(),
    tryEnter: (guest) => options.tryEnter(guest),
    leave: (guest) => options.leave(guest),
  };
}

/** @throws TlsSettingError */
export function createAcceptor(options: AcceptorOptions): ClientAcceptor {
  return new Acceptor(options);
}

class Acceptor implements ClientAcceptor {
  private readonly options: AcceptorOptions;
  private readonly logins: Logins;
  private readonly handshakes: Handshakes;
  private readonly clientSlots: ClientSlots;
  private readonly consoleSlots = makeConsoleSlots(consoleReserve);
  private readonly readers = new Set<MessageReader>();
  private readonly fresh = new FreshConnections();
  private readonly running = new Set<Promise<void>>();
  /** As of the last reload. */
  private context: LoginContext;
  private isClosed = false;

  constructor(options: AcceptorOptions) {
    this.options = options;
    this.logins = new Logins(() => options.maxLogins());
    this.clientSlots = clientSlotsOf(options);
    this.handshakes = new Handshakes({
      log: options.log,
      logins: this.logins,
      onRefused: (reason) => options.onRefused(reason),
      logIn: (socket, layer) => this.begin(socket, layer),
    });
    this.context = this.makeLoginContext(options.tls, options.auth);
  }

  get loggingIn(): number {
    return this.running.size + this.handshakes.count;
  }

  get waitingForClient(): number {
    let waiting = this.handshakes.count;
    for (const reader of this.readers) if (reader.isWaiting) waiting++;
    return waiting;
  }

  giveFreshAway(give: GiveConnection): void {
    this.fresh.giveAll(give);
  }

  accept(socket: Socket, layer: 'plain' | 'local'): void {
    this.begin(socket, layer);
  }

  reload(tls: TlsSide, auth?: AuthOptions): void {
    this.context = this.makeLoginContext(tls, auth ?? this.options.auth, auth === undefined ? this.context : undefined);
  }

  async close(): Promise<void> {
    this.isClosed = true;
    for (const reader of this.readers) reader.fail(new WeirError('shutting_down'));
    await Promise.all(this.running);
  }

  private makeLoginContext(tlsSide: TlsSide, auth: AuthOptions, previous?: LoginContext): LoginContext {
    const { options, handshakes, logins, readers, fresh, clientSlots, consoleSlots } = this;
    const tls = clientTls(tlsSide);
    const loginTimeoutMs = options.loginTimeoutMs();
    const negotiatedTls = handshakes.server(tls, 'tls', loginTimeoutMs);
    const directTls = handshakes.server(tls, 'direct-tls', loginTimeoutMs);
    return {
      options,
      authenticator: previous?.authenticator ?? createAuthenticator(auth),
      tls,
      loginTimeoutMs,
      logins,
      readers,
      fresh,
      startTls: (socket, isDirect, leftover) =>
        handshakes.begin(socket, leftover, isDirect ? directTls : negotiatedTls),
      clientSlots,
      consoleSlots,
    };
  }

  private begin(socket: Socket | TLSSocket, layer: Layer): void {
    socket.on('error', ignoreError);
    if (this.isClosed) return closeAfter(socket, fatal(new WeirError('shutting_down')));
    const login = logIn(socket, layer, this.context);
    this.running.add(login);
    void login.finally(() => this.running.delete(login));
  }
}
