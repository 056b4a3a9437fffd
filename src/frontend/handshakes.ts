/**
 * TLS handshakes with clients. A handshake counts as a log-in until it is over; then the log-in of the encrypted socket
 * begins, or the socket is closed. Made by client-acceptor.ts, which passes it the sockets.
 */
import type { Socket } from 'node:net';
import type { Server as TlsServer, TLSSocket } from 'node:tls';
import { createServer as createTlsServer } from 'node:tls';
import { ignoreError } from '../net/message-reader.ts';
import { closeAfter, noMessage } from './close-connection.ts';
import type { LoginContext } from './login.ts';
import { addressOf, type LoginEntry, type Logins } from './logins.ts';
import type { Layer } from './startup.ts';
import type { AcceptorOptions } from './types.ts';

/**
 * Largest TLS record that is sent to clients, in bytes, as in PostgreSQL. libpq reads 8 kB, or more if its buffer is
 * larger, and then waits on the socket. The rest of a larger record would already be in OpenSSL's buffer, so the client
 * would wait forever.
 */
const maxRecordBytes = 8192;

export interface HandshakeOptions extends Pick<AcceptorOptions, 'log' | 'onRefused'> {
  readonly logins: Logins;
  /** The log-in of a client that is encrypted now. */
  readonly logIn: (socket: TLSSocket, layer: Layer) => void;
}

const keyOf = (socket: Socket): string => `${socket.remoteAddress ?? ''}:${socket.remotePort ?? 0}`;

export class Handshakes {
  private readonly options: HandshakeOptions;
  private readonly entrys = new Map<string, LoginEntry>();

  constructor(options: HandshakeOptions) {
    this.options = options;
  }

  /** Handshakes that are not over. */
  get count(): number {
    return this.entrys.size;
  }

  /** The server does not listen: `begin` passes it sockets, after the answer to SSLRequest or for direct TLS. */
  server(tls: LoginContext['tls'], layer: Layer, loginTimeoutMs: number): TlsServer | undefined {
    if (tls === undefined) return undefined;
    const server = createTlsServer({ ...tls.options, handshakeTimeout: loginTimeoutMs });
    server.on('secureConnection', (socket) => this.done(socket, layer));
    server.on('tlsClientError', (error: NodeJS.ErrnoException, socket) => this.failed(error, socket));
    return server;
  }

  /** Counts the handshake as a log-in. After it, the connection has another socket object with the same address. */
  begin(socket: Socket, leftover: Buffer, server: TlsServer | undefined): void {
    const entry = this.options.logins.enter(addressOf(socket), () => socket.destroy());
    const key = keyOf(socket);
    this.entrys.set(key, entry);
    socket.once('close', () => this.over(key, entry));
    if (leftover.length > 0) socket.unshift(leftover);
    server?.emit('connection', socket);
  }

  private over(key: string, entry = this.entrys.get(key)): void {
    entry?.leave();
    if (this.entrys.get(key) === entry) this.entrys.delete(key);
  }

  private done(socket: TLSSocket, layer: Layer): void {
    const { log, onRefused, logIn } = this.options;
    this.over(keyOf(socket));
    socket.disableRenegotiation();
    socket.setMaxSendFragment(maxRecordBytes);
    // As in PostgreSQL, direct TLS requires ALPN, as protection against cross-protocol attacks (ALPACA).
    if (layer === 'tls' || typeof socket.alpnProtocol === 'string') return logIn(socket, layer);
    socket.on('error', ignoreError);
    onRefused('protocol');
    const what = 'TLS without SSLRequest (sslnegotiation=direct) and without ALPN "postgresql"';
    log('info', 'login_refused', what, { client: keyOf(socket) });
    closeAfter(socket, noMessage);
  }

  private failed(error: NodeJS.ErrnoException, socket: TLSSocket): void {
    const { log, onRefused } = this.options;
    const client = keyOf(socket);
    this.over(client);
    const hasLeft = error.code === 'ECONNRESET';
    if (!hasLeft) onRefused(error.code === 'ERR_TLS_HANDSHAKE_TIMEOUT' ? 'timeout' : 'protocol');
    const what = `TLS handshake with a client failed: ${error.message}`;
    log(hasLeft ? 'debug' : 'info', 'tls_handshake_failed', what, { client });
    socket.destroy();
  }
}
