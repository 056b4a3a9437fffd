/**
 * Opens a socket to a server, with or without TLS, as libpq's sslmode does. Sends nothing but SSLRequest. Called by backend/login.ts and backend/cancel.ts.
 */
import type { Socket } from 'node:net';
import { connect as connectTcp } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { connect as connectTls } from 'node:tls';
import type { NodeConfig, TlsSide } from '../config/config.ts';
import { MessageReader, ignoreError } from '../net/message-reader.ts';
import { serverTlsOptions } from '../net/tls.ts';
import { describeType } from '../protocol/codes.ts';
import { ProtocolError } from '../protocol/read.ts';
import { sslRequest } from '../protocol/write.ts';
import { connectTarget, isSocketDir } from '../util/where.ts';
import { transportError } from './login-error.ts';

/** A way to connect: without TLS; with TLS if the server offers it, else without; with TLS only. */
export type TlsAttempt = 'no' | 'if-offered' | 'yes';

export interface OpenOptions {
  readonly node: NodeConfig;
  readonly tls: TlsSide;
  readonly attempt: TlsAttempt;
  /** Aborted when the time is over, or by the caller. Its reason is what openSocket() rejects with. */
  readonly signal: AbortSignal;
}

const keepAliveInitialDelayMs = 60_000;

/** The ways to connect in a mode of tls.server, in the order in which they are tried. */
export function tlsAttempts(side: TlsSide): readonly TlsAttempt[] {
  switch (side.mode) {
    case 'disable':
      return ['no'];
    case 'allow':
      return ['no', 'yes'];
    case 'prefer':
      return ['if-offered', 'no'];
    case 'require':
    case 'verify-ca':
    case 'verify-full':
      return ['yes'];
  }
}

/** The server does not offer TLS, or the handshake failed. The next way to connect may be tried. */
export class TlsUnavailable extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, { cause });
    this.name = 'TlsUnavailable';
  }
}

/** Resolves at `event`. On error, close or abort it destroys the socket and rejects. */
function waitFor(socket: Socket, event: 'connect' | 'secureConnect', signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (error: unknown): void => {
      socket.off(event, onEvent);
      socket.off('error', settle);
      socket.off('close', onClose);
      signal.removeEventListener('abort', onAbort);
      if (error === undefined) return resolve();
      socket.destroy();
      reject(error as Error);
    };
    const onEvent = (): void => settle(undefined);
    const onClose = (): void => settle(new Error('the connection was closed'));
    const onAbort = (): void => settle(signal.reason);
    socket.on(event, onEvent);
    socket.on('error', settle);
    socket.on('close', onClose);
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort);
  });
}

/** Node puts the causes of a failed connect to several addresses into an AggregateError without a message. */
function describeConnectError(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map((one: Error) => one.message).join('; ');
  return error instanceof Error ? error.message : String(error);
}

async function openTcp(node: NodeConfig, signal: AbortSignal): Promise<Socket> {
  const options = {
    autoSelectFamily: true,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: keepAliveInitialDelayMs,
  };
  const socket = connectTcp({ ...connectTarget(node.host, node.port), ...options });
  socket.on('error', ignoreError);
  try {
    await waitFor(socket, 'connect', signal);
  } catch (error) {
    if (error === signal.reason) throw error;
    throw transportError(node, `cannot connect: ${describeConnectError(error)}`, error);
  }
  return socket;
}

/** The answer to SSLRequest is one byte. Anything behind it was not encrypted, so somebody else may have sent it: an error. */
async function askForTls(socket: Socket, signal: AbortSignal): Promise<boolean> {
  const reader = new MessageReader(socket, undefined);
  const onAbort = (): void => reader.fail(signal.reason as Error);
  signal.addEventListener('abort', onAbort);
  try {
    if (signal.aborted) throw signal.reason;
    socket.write(sslRequest);
    const answer = await reader.nextByte();
    if (answer === 0x45) throw new ProtocolError('the server answered SSLRequest with an error');
    if (answer !== 0x53 && answer !== 0x4e) {
      throw new ProtocolError(`the server answered SSLRequest with ${describeType(answer)}`);
    }
    if (reader.hasUnread) throw new ProtocolError('the server sent unencrypted data behind its answer to SSLRequest');
    return answer === 0x53;
  } finally {
    signal.removeEventListener('abort', onAbort);
    reader.detach();
  }
}

/**
 * Returns a connected socket, paused, with a listener that ignores errors and no other. Rejects with ServerLoginError,
 * TlsUnavailable, TlsSettingError, ProtocolError, ReadError, or the reason of `signal`.
 */
export async function openSocket({ node, tls, attempt, signal }: OpenOptions): Promise<Socket | TLSSocket> {
  // No TLS over Unix sockets, as in libpq.
  const options =
    attempt === 'no' || isSocketDir(node.host) ? undefined : serverTlsOptions(tls, node.tlsName ?? node.host);
  const plain = await openTcp(node, signal);
  try {
    if (options === undefined) return plain;
    if (!(await askForTls(plain, signal))) {
      if (attempt === 'if-offered') return plain;
      throw new TlsUnavailable(`the server does not offer TLS, but tls.server.mode is ${tls.mode}`);
    }
    const secure = connectTls({ ...options, socket: plain });
    secure.on('error', ignoreError);
    try {
      await waitFor(secure, 'secureConnect', signal);
    } catch (error) {
      if (error === signal.reason) throw error;
      throw new TlsUnavailable(`TLS with the server failed: ${(error as Error).message}`, error);
    }
    secure.disableRenegotiation();
    return secure.pause();
  } catch (error) {
    plain.destroy();
    throw error;
  }
}
