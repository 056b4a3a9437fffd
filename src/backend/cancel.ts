/**
 * Sends a CancelRequest to a server over a new connection, with TLS if log-ins use it. Resolves when the server has closed that
 * connection: by then it has sent the signal to its process, so that a query sent later is not cancelled. Called by
 * app/server-logins.ts. The pool hands the server connection to nobody meanwhile.
 */
import type { Socket } from 'node:net';
import type { NodeConfig, TlsSide } from '../config/config.ts';
import { cancelRequest } from '../protocol/write.ts';
import { TlsUnavailable, openSocket, tlsAttempts } from './connect.ts';
import { createDeadline } from './deadline.ts';
import { ServerLoginError, transportError } from './login-error.ts';

export interface CancelOptions {
  readonly node: NodeConfig;
  readonly tls: TlsSide;
  readonly processId: number;
  readonly secretKey: Buffer;
  readonly timeoutMs: number;
  /** Does the statement still run that is to be cancelled? If so, a server that has not answered has `timeoutMs` once more. */
  readonly isWanted?: () => boolean;
}

function whenClosed(socket: Socket, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => {
      socket.destroy();
      reject(signal.reason as Error);
    };
    if (signal.aborted) return onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    // A server that has read the request closes the connection. One that resets it may not have read it.
    let failure: Error | undefined;
    socket.once('error', (error) => (failure = error));
    socket.once('close', () => {
      signal.removeEventListener('abort', onAbort);
      if (failure === undefined) resolve();
      else reject(failure);
    });
    // The server sends nothing, but a socket has to be read to notice that it was closed.
    socket.resume();
  });
}

/** Rejects with ServerLoginError if the request could not be delivered. Whether it has cancelled anything is not known. */
export async function sendCancel(options: CancelOptions): Promise<void> {
  const { node, tls, processId, secretKey } = options;
  const toError = (message: string): Error => transportError(node, `cancel: ${message}`);
  const deadline = createDeadline(options.timeoutMs, undefined, toError, options.isWanted);
  let failure: unknown;
  try {
    for (const attempt of tlsAttempts(tls)) {
      try {
        const socket = await openSocket({ node, tls, attempt, signal: deadline.signal });
        socket.write(cancelRequest(processId, secretKey));
        await whenClosed(socket, deadline.signal);
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
