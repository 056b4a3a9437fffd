/**
 * Listens for clients and gives each connection to the client acceptor. Knows addresses and accept errors, nothing of
 * the protocol. Made by app/parts.ts.
 */
import { createServer } from 'node:net';
import type { AuthOptions } from '../auth/authenticator.ts';
import type { HostPort, TlsSide } from '../config/config.ts';
import { createAcceptor } from './client-acceptor.ts';
import { listenTcp } from './listen-tcp.ts';
import type { ListenerOptions } from './types.ts';
import type { UnixSocket } from './unix-socket.ts';
import { openUnixSocket } from './unix-socket.ts';

export type { AcceptorOptions, ListenerOptions, LoggedInClient, RefusalReason } from './types.ts';

export interface Listener {
  /** Rejects with an error that names the address and what to do. */
  listen(): Promise<void>;
  /** The address it listens on, with the actual port if 0 was configured. */
  address(): HostPort;
  /** Path of the Unix socket, if there is one. */
  socketPath(): string | undefined;
  /** Stops listening, and ends log-ins with shutting_down. Clients that have logged in are not affected. */
  close(): Promise<void>;
  /**
   * Changes TLS and, if given, authentication for new clients.
   * @throws TlsSettingError, and then changes nothing
   */
  reload(tls: TlsSide, auth?: AuthOptions): void;
}

/** A client that is gone without a word is noticed. */
export const keepAliveInitialDelayMs = 60_000;

/** @throws TlsSettingError if the TLS settings cannot be used */
export function createListener(options: ListenerOptions): Listener {
  const { host, port } = options.listen;
  const acceptor = createAcceptor(options);
  let local: UnixSocket | undefined;
  const server = createServer({ noDelay: true, keepAlive: true, keepAliveInitialDelay: keepAliveInitialDelayMs });
  server.on('connection', (socket) => acceptor.accept(socket, 'plain'));

  const cannotAccept = (error: Error): void => {
    const message = `cannot accept a connection: ${error.message}`;
    options.log('error', 'accept_failed', message, { hint: 'Raise the limit of open files (ulimit -n).' });
  };

  function address(): HostPort {
    const found = server.address();
    if (found === null || typeof found === 'string') return { host, port };
    return { host: found.address, port: found.port };
  }

  return {
    async listen() {
      await listenTcp(server, options.listen, 'listen', cannotAccept);
      const { unixSocket } = options;
      if (unixSocket === undefined) return;
      local = await openUnixSocket({
        ...unixSocket,
        port: address().port,
        onConnection: (socket) => acceptor.accept(socket, 'local'),
        onError: cannotAccept,
      });
    },
    address,
    socketPath: () => local?.path,
    async close() {
      if (server.listening) server.close();
      local?.close();
      local = undefined;
      await acceptor.close();
    },
    reload: (tls, auth) => acceptor.reload(tls, auth),
  };
}
