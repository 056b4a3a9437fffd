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
import { WeirError } from '../errors.ts';
import type { MessageReader } from '../net/message-reader.ts';
import { ignoreError } from '../net/message-reader.ts';
import { clientTls } from '../net/tls.ts';
import { closeWith, fatal } from './farewell.ts';
import { Handshakes } from './handshakes.ts';
import type { Door, Seats } from './login.ts';
import { logIn } from './login.ts';
import { Logins } from './logins.ts';
import type { Layer } from './startup.ts';
import type { AcceptorOptions } from './types.ts';

/** Console clients let in above max_client_conn. */
const consoleReserve = 8;

export interface ClientAcceptor {
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

function seatsOf(options: DoorOptions): Seats {
  return {
    isFull: () => options.isFull(),
    tryEnter: () => options.tryEnter(),
    leave: () => options.leave(),
  };
}

/** Throws TlsSettingError. */
export function createDoor(options: DoorOptions): ClientDoor {
  return new LogInDoor(options);
}

class LogInDoor implements ClientDoor {
  private readonly options: DoorOptions;
  private readonly logins: Logins;
  private readonly handshakes: Handshakes;
  private readonly clientSeats: Seats;
  private readonly consoleSeats = reservedSeats(consoleReserve);
  private readonly readers = new Set<MessageReader>();
  private readonly running = new Set<Promise<void>>();
  /** As of the last reload. */
  private door: Door;
  private isClosed = false;

  constructor(options: DoorOptions) {
    this.options = options;
    this.logins = new Logins(() => options.maxLogins());
    this.clientSeats = seatsOf(options);
    this.handshakes = new Handshakes({
      log: options.log,
      logins: this.logins,
      onRefused: (reason) => options.onRefused(reason),
      logIn: (socket, layer) => this.begin(socket, layer),
    });
    this.door = this.makeDoor(options.tls, options.auth);
  }

  accept(socket: Socket, layer: 'plain' | 'local'): void {
    this.begin(socket, layer);
  }

  reload(tls: TlsSide, auth?: AuthOptions): void {
    this.door = this.makeDoor(tls, auth ?? this.options.auth, auth === undefined ? this.door : undefined);
  }

  async close(): Promise<void> {
    this.isClosed = true;
    for (const reader of this.readers) reader.fail(new WeirError('shutting_down'));
    await Promise.all(this.running);
  }

  private makeDoor(tlsSide: TlsSide, auth: AuthOptions, previous?: Door): Door {
    const { options, handshakes, logins, readers, clientSeats, consoleSeats } = this;
    const tls = clientTls(tlsSide);
    const loginTimeoutMs = options.loginTimeoutMs();
    const askedTls = handshakes.server(tls, 'tls', loginTimeoutMs);
    const directTls = handshakes.server(tls, 'direct-tls', loginTimeoutMs);
    return {
      options,
      authenticator: previous?.authenticator ?? createAuthenticator(auth),
      tls,
      loginTimeoutMs,
      logins,
      readers,
      startTls: (socket, isDirect, leftover) => handshakes.begin(socket, leftover, isDirect ? directTls : askedTls),
      clientSeats,
      consoleSeats,
    };
  }

  private begin(socket: Socket | TLSSocket, layer: Layer): void {
    socket.on('error', ignoreError);
    if (this.isClosed) return closeWith(socket, fatal(new WeirError('shutting_down')));
    const login = logIn(socket, layer, this.door);
    this.running.add(login);
    void login.finally(() => this.running.delete(login));
  }
}
