/**
 * A Listener that does not listen: the supervisor of a Weir with several processes does, and gives its workers the
 * connections. Made by app/parts.ts in a worker.
 */
import type { Socket } from 'node:net';
import type { HostPort } from '../config/config.ts';
import { clientSocketOptions } from '../util/listen-options.ts';
import { createAcceptor } from './client-acceptor.ts';
import type { Listener } from './listener.ts';
import type { ListenerOptions } from './types.ts';

/** Where connections come from. */
export interface ConnectionSource {
  /** Where the supervisor listens. */
  readonly address: HostPort;
  readonly socketPath: string | undefined;
  /** As of a Listener. */
  stopAccepting(where: 'shared' | 'own' | 'inherited'): void;
  /** Connections arrive paused. There is one listener. */
  onConnection(listener: (layer: 'plain' | 'local', socket: Socket) => void): void;
}

/** @throws TlsSettingError if the TLS settings cannot be used */
export function createReceiver(options: ListenerOptions, source: ConnectionSource): Listener {
  const acceptor = createAcceptor(options);
  return {
    arrivals: acceptor,
    listen() {
      source.onConnection((layer, socket) => {
        if (layer === 'plain') setOptions(socket);
        acceptor.accept(socket, layer);
      });
      return Promise.resolve();
    },
    address: () => source.address,
    socketPath: () => source.socketPath,
    stopAccepting: (where) => source.stopAccepting(where),
    close: () => acceptor.close(),
    reload: (tls, auth) => acceptor.reload(tls, auth),
  };
}

function setOptions(socket: Socket): void {
  const { noDelay, keepAlive, keepAliveInitialDelay } = clientSocketOptions;
  socket.setNoDelay(noDelay).setKeepAlive(keepAlive, keepAliveInitialDelay);
}
