/**
 * TLS handshakes with clients: each has its place among the log-ins that are under way until it is over; then the socket
 * goes on to its log-in, or away. Made by door.ts, which gives it the sockets.
 */
import type { Socket } from 'node:net';
import type { Server as TlsServer, TLSSocket } from 'node:tls';
import { createServer as createTlsServer } from 'node:tls';
import { ignoreError } from '../net/message-reader.ts';
import { closeWith, noWords } from './farewell.ts';
import type { Door } from './login.ts';
import { addressOf, type LoginPlace, type Logins } from './logins.ts';
import type { Layer } from './startup.ts';
import type { DoorOptions } from './types.ts';

/**
 * Size of the TLS records for clients, as PostgreSQL's own. libpq reads up to 8 kB, or more if it has room, and then waits for
 * the socket: what OpenSSL still has of a larger record is not seen there, and the client waits for ever.
 */
const maxRecordBytes = 8192;

export interface HandshakeOptions extends Pick<DoorOptions, 'log' | 'onRefused'> {
  readonly logins: Logins;
  /** The log-in of a client that is encrypted now. */
  readonly logIn: (socket: TLSSocket, layer: Layer) => void;
}

const keyOf = (socket: Socket): string => `${socket.remoteAddress ?? ''}:${socket.remotePort ?? 0}`;

export class Handshakes {
  private readonly options: HandshakeOptions;
  private readonly places = new Map<string, LoginPlace>();

  constructor(options: HandshakeOptions) {
    this.options = options;
  }

  /** It never listens: sockets are given to it (`begin`) once SSLRequest was answered, or TLS has begun without it. */
  server(tls: Door['tls'], layer: Layer, loginTimeoutMs: number): TlsServer | undefined {
    if (tls === undefined) return undefined;
    const server = createTlsServer({ ...tls.options, handshakeTimeout: loginTimeoutMs });
    server.on('secureConnection', (socket) => this.done(socket, layer));
    server.on('tlsClientError', (error: NodeJS.ErrnoException, socket) => this.failed(error, socket));
    return server;
  }

  /** A place of its own until the handshake is over: then it comes back as another socket with the same address. */
  begin(socket: Socket, leftover: Buffer, server: TlsServer | undefined): void {
    const place = this.options.logins.enter(addressOf(socket), () => socket.destroy());
    const key = keyOf(socket);
    this.places.set(key, place);
    socket.once('close', () => this.over(key, place));
    if (leftover.length > 0) socket.unshift(leftover);
    server?.emit('connection', socket);
  }

  private over(key: string, place = this.places.get(key)): void {
    place?.leave();
    if (this.places.get(key) === place) this.places.delete(key);
  }

  private done(socket: TLSSocket, layer: Layer): void {
    const { log, onRefused, logIn } = this.options;
    this.over(keyOf(socket));
    socket.disableRenegotiation();
    socket.setMaxSendFragment(maxRecordBytes);
    // Like PostgreSQL: without ALPN it may be meant for another protocol's server (ALPACA).
    if (layer === 'tls' || typeof socket.alpnProtocol === 'string') return logIn(socket, layer);
    socket.on('error', ignoreError);
    onRefused('protocol');
    const what = 'TLS without SSLRequest (sslnegotiation=direct) and without ALPN "postgresql"';
    log('info', 'login_refused', what, { client: keyOf(socket) });
    closeWith(socket, noWords);
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
