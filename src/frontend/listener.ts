/**
 * Listens for clients and gives each connection to the door. Knows addresses and accept errors, nothing of the protocol.
 * Made by app/parts.ts.
 */
import { createServer, type Server } from 'node:net';
import type { AuthOptions } from '../auth/authenticator.ts';
import type { HostPort, TlsSide } from '../config/config.ts';
import { createDoor } from './door.ts';
import type { ListenerOptions } from './types.ts';
import type { UnixSocket } from './unix-socket.ts';
import { openUnixSocket } from './unix-socket.ts';

export type { DoorOptions, ListenerOptions, LoggedInClient, RefusalReason } from './types.ts';

export interface Listener {
  /** Rejects with a message that names the address and what to do. */
  listen(): Promise<void>;
  /** Where it listens; the port that was found when 0 was asked for. */
  address(): HostPort;
  /** Of the Unix socket, if there is one. */
  socketPath(): string | undefined;
  /**
   * Stops accepting; log-ins under way get shutting_down. Clients that were handed over stay with their owner, and this
   * does not wait for them.
   */
  close(): Promise<void>;
  /** TLS (and, if given, authentication) for clients that come from now on. Throws TlsSettingError and changes nothing then. */
  reload(tls: TlsSide, auth?: AuthOptions): void;
}

/** The kernel takes the smaller of this and net.core.somaxconn. */
const backlog = 4096;
const keepAliveInitialDelayMs = 60_000;

const advice: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another process listens there; stop it or change "listen"',
  EADDRNOTAVAIL: 'this machine has no such address; change "listen"',
  EACCES: 'not allowed; use a port above 1023 or give Weir the right to',
  ENOTFOUND: 'the host name is not known; change "listen"',
};

/** Throws TlsSettingError if the TLS settings cannot be used. */
export function createListener(options: ListenerOptions): Listener {
  const { host, port } = options.listen;
  const door = createDoor(options);
  let local: UnixSocket | undefined;
  const server = createServer({ noDelay: true, keepAlive: true, keepAliveInitialDelay: keepAliveInitialDelayMs });
  server.on('connection', (socket) => door.accept(socket, 'plain'));

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
      await listenTcp(server, options.listen, cannotAccept);
      const { unixSocket } = options;
      if (unixSocket === undefined) return;
      local = await openUnixSocket({
        ...unixSocket,
        port: address().port,
        onConnection: (socket) => door.accept(socket, 'local'),
        onError: cannotAccept,
      });
    },
    address,
    socketPath: () => local?.path,
    async close() {
      if (server.listening) server.close();
      local?.close();
      local = undefined;
      await door.close();
    },
    reload: (tls, auth) => door.reload(tls, auth),
  };
}

function listenTcp(server: Server, { host, port }: HostPort, cannotAccept: (error: Error) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const what = advice[error.code ?? ''] ?? error.message;
      reject(new Error(`cannot listen on ${host}:${port}: ${what}`, { cause: error }));
    });
    server.listen({ ...(host === '*' ? {} : { host }), port, backlog }, () => {
      server.removeAllListeners('error');
      server.on('error', cannotAccept);
      resolve();
    });
  });
}
