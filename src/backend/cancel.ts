/**
 * Sends a CancelRequest to a server, over a connection of its own (with TLS where the log-in would use it). Resolves when
 * the server has closed that connection: then the signal was sent, and cannot hit a later query of the same server
 * process unseen. Called by whoever holds the server; the pool keeps it out of circulation meanwhile.
 */
import type { Socket } from 'node:net';
import type { NodeConfig, TlsSide } from '../config/config.ts';
import { cancelRequest } from '../protocol/write.ts';
import { TlsUnavailable, openSocket, tlsWishes } from './connect.ts';
import { createDeadline } from './deadline.ts';
import { ServerLoginError, transportError } from './login-error.ts';

export interface CancelOptions {
  readonly node: NodeConfig;
  readonly tls: TlsSide;
  readonly processId: number;
  readonly secretKey: Buffer;
  readonly timeoutMs: number;
  /** Does what it is for still run? As long as it does, the server may take longer than `timeoutMs`. */
  readonly isWanted?: () => boolean;
}

function closed(socket: Socket, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => {
      socket.destroy();
      reject(signal.reason as Error);
    };
    if (signal.aborted) return onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    // A server that has read it closes; one that resets the connection may not have.
    let failure: Error | undefined;
    socket.once('error', (error) => (failure = error));
    socket.once('close', () => {
      signal.removeEventListener('abort', onAbort);
      if (failure === undefined) resolve();
      else reject(failure);
    });
    // Nothing is answered, but only a socket that is read notices its end.
    socket.resume();
  });
}

/** Rejects with ServerLoginError if the request could not be delivered; whether it hit a query nobody can know. */
export async function sendCancel(options: CancelOptions): Promise<void> {
  const { node, tls, processId, secretKey } = options;
  const toError = (message: string): Error => transportError(node, `cancel: ${message}`);
  const deadline = createDeadline(options.timeoutMs, undefined, toError, options.isWanted);
  let failure: unknown;
  try {
    for (const wish of tlsWishes(tls)) {
      try {
        const socket = await openSocket({ node, tls, wish, signal: deadline.signal });
        socket.write(cancelRequest(processId, secretKey));
        await closed(socket, deadline.signal);
        return;
      } catch (error) {
        failure = error;
        if (!(error instanceof TlsUnavailable)) break;
      }
    }
    if (failure instanceof ServerLoginError) throw failure;
    throw transportError(node, `cancel: ${(failure as Error).message}`, failure);
  } finally {
    deadline.clear();
  }
}
