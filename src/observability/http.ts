/**
 * The HTTP server: /metrics, /healthz, /readyz, /scale, /stats.json and the page at / (page/). Only GET and HEAD,
 * without authentication: they read figures and change nothing, and it should listen on an address that only operators can
 * reach. POST /invalidate wants a token (invalidate-door.ts). Made by the app.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { HostPort } from '../config/config.ts';
import type { OpenSocket } from '../systemd/types.ts';
import { json, plain, type Answer } from './http-answer.ts';
import { HttpConnections, usualBounds } from './http-connections.ts';
import { isKnownHost } from './http-host.ts';
import { answerInvalidate, type InvalidateDoor } from './invalidate-door.ts';
import type { Metrics } from './metrics.ts';
import type { Page } from './page/page.ts';
import { readiness } from './readiness.ts';
import { scaleJson } from './scale.ts';
import { statsJson } from './stats-json.ts';
import type { Log, ServingState, StatsSources } from './types.ts';

export interface HttpOptions {
  /** Config.http; port 0 = any free port. */
  readonly listen: HostPort;
  /** Instead of `listen`: a socket that systemd has opened. */
  readonly open?: OpenSocket | undefined;
  /** http_hosts: host names that it accepts besides those of this host and network. */
  hosts(): readonly string[];
  readonly metrics: Pick<Metrics, 'text' | 'contentType'>;
  readonly sources: StatsSources;
  /** The figures of the whole Weir; absent: `sources` are all of it. */
  readonly gather?: (() => Promise<StatsSources>) | undefined;
  serving(): ServingState;
  /** For people. */
  readonly page: Page;
  readonly door: InvalidateDoor;
  /** Monotonic time in ms. */
  nowMs(): number;
  readonly log: Log;
}

export interface HttpServer {
  /** Resolves to the port. Rejects with an error for the operator if it cannot listen on the address. */
  listen(): Promise<number>;
  /** Serves a connection that another process has accepted. */
  accept(socket: Socket): void;
  close(): Promise<void>;
}

export function createHttpServer(options: HttpOptions, bounds = usualBounds): HttpServer {
  const connections = new HttpConnections(bounds, (request, response) => void respond(options, request, response));
  return {
    listen: () => listen(connections.server, options),
    accept: (socket) => connections.accept(socket),
    close: () => {
      options.page.close();
      return connections.close();
    },
  };
}

function listen(server: Server, { listen: { host, port }, open, log }: HttpOptions): Promise<number> {
  return new Promise((resolve, reject) => {
    const onError = (error: NodeJS.ErrnoException): void =>
      reject(new Error(explain(error, host, port), { cause: error }));
    server.once('error', onError);
    server.once('listening', () => {
      server.off('error', onError);
      server.on('error', (error) => log('error', 'http_error', `http: ${error.message}`));
      resolve((server.address() as AddressInfo).port);
    });
    if (open === undefined) server.listen(host === '*' ? { port } : { host, port });
    else open.moveTo(server);
  });
}

function explain(error: NodeJS.ErrnoException, host: string, port: number): string {
  const where = `http: cannot listen on ${host}:${port}`;
  if (error.code === 'EADDRINUSE')
    return `${where}: the port is in use; choose another with "http", or stop what uses it`;
  if (error.code === 'EACCES') return `${where}: not permitted; ports below 1024 need privileges`;
  if (error.code === 'EADDRNOTAVAIL' || error.code === 'ENOTFOUND') return `${where}: no such address on this machine`;
  return `${where}: ${error.message}`;
}

async function respond(options: HttpOptions, request: IncomingMessage, response: ServerResponse): Promise<void> {
  let answer: Answer | undefined;
  response.on('error', () => response.destroy());
  try {
    answer = await answerTo(options, request, response);
  } catch (error) {
    const what = error instanceof Error ? error.message : String(error);
    options.log('error', 'http_failed', `http: ${request.url?.slice(0, 100) ?? ''} failed: ${what}`);
    answer = { status: 500, type: plain, body: 'internal error; the log says more\n' };
  }
  request.resume();
  if (answer === undefined) return;
  const body = Buffer.from(answer.body, 'utf8');
  response.writeHead(answer.status, {
    'Content-Type': answer.type,
    'Content-Length': body.length,
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
    ...answer.headers,
  });
  response.end(request.method === 'HEAD' ? undefined : body);
}

/** @returns undefined: the page has answered */
async function answerTo(
  options: HttpOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<Answer | undefined> {
  const path = (request.url ?? '').split('?', 1)[0] ?? '';
  const token = path === '/invalidate' ? options.door.token() : undefined;
  if (token === undefined && request.method !== 'GET' && request.method !== 'HEAD') {
    return { status: 405, type: plain, body: 'only GET\n', headers: { Allow: 'GET, HEAD' } };
  }
  const { metrics } = options;
  const { host } = request.headers;
  // Health checks are exempt: they reveal little, and load balancers send all kinds of host names.
  if (path !== '/healthz' && path !== '/readyz' && !isKnownHost(host, [...options.hosts(), options.listen.host])) {
    const body = 'not a name of this Weir: ask by IP address, or add the name to the setting http_hosts\n';
    return { status: 421, type: plain, body };
  }
  if (token !== undefined) return answerInvalidate(options.door, token, request);
  switch (path) {
    case '/metrics':
      return { status: 200, type: metrics.contentType, body: await metrics.text() };
    case '/healthz':
      return { status: 200, type: plain, body: 'ok\n' };
    case '/readyz': {
      const sources = await sourcesOf(options);
      const { isReady, reasons, notes } = readiness(sources, sources.whole?.serving ?? options.serving());
      const body = `${JSON.stringify({ ready: isReady, reasons, notes })}\n`;
      return { status: isReady ? 200 : 503, type: json, body };
    }
    case '/stats.json':
      return { status: 200, type: json, body: JSON.stringify(statsJson(await sourcesOf(options), options.nowMs())) };
    case '/scale':
      return { status: 200, type: json, body: JSON.stringify(scaleJson(await sourcesOf(options), options.nowMs())) };
    default:
      if (await options.page.answer(path, request, response)) return undefined;
      return { status: 404, type: plain, body: 'not here: try / /metrics /healthz /readyz /scale /stats.json\n' };
  }
}

async function sourcesOf({ gather, sources }: HttpOptions): Promise<StatsSources> {
  return gather === undefined ? sources : gather();
}
