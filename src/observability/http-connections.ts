/**
 * What the clients of the HTTP port may hold: so many connections, each for so long, with so many requests at once. Also for
 * connections that another process has accepted. Used by http.ts.
 */
import { createServer } from 'node:http';
import type { RequestListener, Server } from 'node:http';
import type { Socket } from 'node:net';

export interface HttpBounds {
  /** Per process. */
  readonly mostConnections: number;
  /** Until all headers of a request have come. */
  readonly headersMs: number;
  readonly requestMs: number;
  /** Between two requests. */
  readonly idleMs: number;
  /** Until a client that reads nothing of its answer is given up. */
  readonly stuckMs: number;
  /** How often connections are looked at. */
  readonly checkMs: number;
}

/**
 * Of one connection, not answered yet. An answer costs much more than a request, and one packet has room for thousands. Who waits
 * for each answer has at most two, as the end of an answer may be noticed here after the next request.
 */
const mostRequests = 4;

export const usualBounds: HttpBounds = {
  mostConnections: 256,
  headersMs: 5_000,
  requestMs: 10_000,
  idleMs: 65_000,
  stuckMs: 30_000,
  checkMs: 1_000,
};

export class HttpConnections {
  readonly server: Server;
  private readonly bounds: HttpBounds;
  private readonly requests = new WeakMap<Socket, number>();
  private accepted = 0;
  private isWatching = false;

  constructor(bounds: HttpBounds, respond: RequestListener) {
    this.bounds = bounds;
    const { headersMs: headersTimeout, requestMs: requestTimeout, idleMs: keepAliveTimeout } = bounds;
    const times = { headersTimeout, requestTimeout, keepAliveTimeout, connectionsCheckingInterval: bounds.checkMs };
    this.server = createServer({ maxHeaderSize: 8 * 1024, ...times }, (request, response) => {
      const { socket } = request;
      const open = (this.requests.get(socket) ?? 0) + 1;
      if (open > mostRequests) socket.destroy();
      if (socket.destroyed) return;
      this.requests.set(socket, open);
      response.once('close', () => this.requests.set(socket, (this.requests.get(socket) ?? 1) - 1));
      respond(request, response);
    });
    this.server.timeout = bounds.stuckMs;
    this.server.maxConnections = bounds.mostConnections;
    // Whoever only keeps a connection for later makes room for the next one.
    this.server.on('drop', () => this.server.closeIdleConnections());
    // Not HTTP: closes this connection only.
    this.server.on('clientError', (_error, socket) => {
      if (socket.writable) socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n');
      else socket.destroy();
    });
  }

  /** Serves a connection that another process has accepted. */
  accept(socket: Socket): void {
    if (this.accepted >= this.bounds.mostConnections) {
      this.server.closeIdleConnections();
      socket.destroy();
      return;
    }
    this.accepted++;
    socket.once('close', () => this.accepted--);
    this.watch();
    this.server.emit('connection', socket);
  }

  close(): Promise<void> {
    const { server } = this;
    if (!server.listening) {
      // Of a worker, which serves connections without listening. This stops the watch, too.
      server.close(() => undefined);
      return Promise.resolve();
    }
    return new Promise((resolve) => {
      server.close(() => resolve());
      server.closeIdleConnections();
      // A client that does not read its answer must not delay the end of the process.
      setTimeout(() => server.closeAllConnections(), 1_000).unref();
    });
  }

  /** Node begins to enforce headersTimeout and requestTimeout when a server listens; this one never does. */
  private watch(): void {
    if (this.isWatching) return;
    this.isWatching = true;
    this.server.emit('listening');
  }
}
