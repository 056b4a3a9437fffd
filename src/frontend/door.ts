/**
 * The clients' door: gives every connection its log-in, upgrades those that want TLS, bounds how many log in at the
 * same time, and can be shut. Does not listen itself (frontend/listener.ts does), nor serve clients (session/).
 */
import type { Socket } from 'node:net';
import type { Server as TlsServer, TLSSocket } from 'node:tls';
import { createServer as createTlsServer } from 'node:tls';
import type { AuthOptions } from '../auth/authenticator.ts';
import { createAuthenticator } from '../auth/authenticator.ts';
import type { TlsSide } from '../config/config.ts';
import { WeirError } from '../errors.ts';
import type { MessageReader } from '../net/message-reader.ts';
import { ignoreError } from '../net/message-reader.ts';
import { clientTls } from '../net/tls.ts';
import { closeWith, fatal, noWords } from './farewell.ts';
import type { Door, Seats } from './login.ts';
import { logIn } from './login.ts';
import { addressOf, Logins, type LoginPlace } from './logins.ts';
import type { Layer } from './startup.ts';
import type { DoorOptions } from './types.ts';

/**
 * Size of the TLS records for clients, as PostgreSQL's own. libpq reads up to 8 kB, or more if it has room, and then waits for
 * the socket: what OpenSSL still has of a larger record is not seen there, and the client waits for ever.
 */
const maxRecordBytes = 8192;

/** Console clients let in above max_client_conn. */
const consoleReserve = 8;

export interface ClientDoor {
  /** A connection that was just made. Never throws. */
  accept(socket: Socket, layer: 'plain' | 'local'): void;
  /** For connections that come from now on. Throws TlsSettingError, and then nothing has changed. */
  reload(tls: TlsSide, auth?: AuthOptions): void;
  /** Log-ins under way, and all that come, get shutting_down. Resolves when none is left. */
  close(): Promise<void>;
}

function reservedSeats(limit: number): Seats {
  let taken = 0;
  return {
    isFull: () => taken >= limit,
    tryEnter: () => (taken < limit ? ++taken > 0 : false),
    leave: () => void taken--,
  };
}

const keyOf = (socket: Socket): string => `${socket.remoteAddress ?? ''}:${socket.remotePort ?? 0}`;

/** Throws TlsSettingError. */
export function createDoor(options: DoorOptions): ClientDoor {
  const { log } = options;
  const logins = new Logins(() => options.maxLogins());
  const readers = new Set<MessageReader>();
  const running = new Set<Promise<void>>();
  const clientSeats: Seats = {
    isFull: () => options.isFull(),
    tryEnter: () => options.tryEnter(),
    leave: () => options.leave(),
  };
  const consoleSeats = reservedSeats(consoleReserve);
  const handshakes = new Map<string, LoginPlace>();
  let isClosed = false;

  function makeTlsServer(tls: Door['tls'], layer: Layer, loginTimeoutMs: number): TlsServer | undefined {
    if (tls === undefined) return undefined;
    // It never listens: sockets are given to it once SSLRequest was answered, or TLS has begun without it.
    const server = createTlsServer({ ...tls.options, handshakeTimeout: loginTimeoutMs });
    server.on('secureConnection', (socket) => {
      handshakeOver(keyOf(socket));
      socket.disableRenegotiation();
      socket.setMaxSendFragment(maxRecordBytes);
      // Like PostgreSQL: without ALPN it may be meant for another protocol's server (ALPACA).
      if (layer === 'tls' || typeof socket.alpnProtocol === 'string') return begin(socket, layer);
      socket.on('error', ignoreError);
      options.onRefused('protocol');
      const what = 'TLS without SSLRequest (sslnegotiation=direct) and without ALPN "postgresql"';
      log('info', 'login_refused', what, { client: `${socket.remoteAddress ?? ''}:${socket.remotePort ?? 0}` });
      closeWith(socket, noWords);
    });
    server.on('tlsClientError', (error: NodeJS.ErrnoException, socket) => {
      handshakeOver(keyOf(socket));
      const hasLeft = error.code === 'ECONNRESET';
      if (!hasLeft) options.onRefused(error.code === 'ERR_TLS_HANDSHAKE_TIMEOUT' ? 'timeout' : 'protocol');
      const from = { client: `${socket.remoteAddress ?? ''}:${socket.remotePort ?? 0}` };
      log(
        hasLeft ? 'debug' : 'info',
        'tls_handshake_failed',
        `TLS handshake with a client failed: ${error.message}`,
        from,
      );
      socket.destroy();
    });
    return server;
  }

  function makeDoor(tlsSide: TlsSide, auth: AuthOptions, previous?: Door): Door {
    const tls = clientTls(tlsSide);
    const loginTimeoutMs = options.loginTimeoutMs();
    const askedTls = makeTlsServer(tls, 'tls', loginTimeoutMs);
    const directTls = makeTlsServer(tls, 'direct-tls', loginTimeoutMs);
    return {
      options,
      authenticator: previous?.authenticator ?? createAuthenticator(auth),
      tls,
      loginTimeoutMs,
      logins,
      readers,
      startTls(socket, isDirect, leftover) {
        handshaking(socket);
        if (leftover.length > 0) socket.unshift(leftover);
        (isDirect ? directTls : askedTls)?.emit('connection', socket);
      },
      clientSeats,
      consoleSeats,
    };
  }

  /** A place of its own until the handshake is over: then it comes back as another socket with the same address. */
  function handshaking(socket: Socket): void {
    const place = logins.enter(addressOf(socket), () => socket.destroy());
    const key = keyOf(socket);
    handshakes.set(key, place);
    socket.once('close', () => handshakeOver(key, place));
  }

  function handshakeOver(key: string, place = handshakes.get(key)): void {
    place?.leave();
    if (handshakes.get(key) === place) handshakes.delete(key);
  }

  function begin(socket: Socket | TLSSocket, layer: Layer): void {
    socket.on('error', ignoreError);
    if (isClosed) return closeWith(socket, fatal(new WeirError('shutting_down')));
    const login = logIn(socket, layer, door);
    running.add(login);
    void login.finally(() => running.delete(login));
  }

  let door = makeDoor(options.tls, options.auth);
  return {
    accept: begin,
    reload(tls, auth) {
      door = makeDoor(tls, auth ?? options.auth, auth === undefined ? door : undefined);
    },
    async close() {
      isClosed = true;
      for (const reader of readers) reader.fail(new WeirError('shutting_down'));
      await Promise.all(running);
    },
  };
}
