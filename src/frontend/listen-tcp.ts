/**
 * Makes a server listen on an address, with errors that tell the operator what to do. Called by listener.ts, and by the
 * supervisor of a Weir with several processes.
 */
import type { ListenOptions, Server } from 'node:net';
import type { HostPort } from '../config/config.ts';
import { backlog } from '../util/listen-options.ts';

/** @param setting of which the address is */
function advice(code: string | undefined, setting: string): string | undefined {
  switch (code) {
    case 'EADDRINUSE':
      return `another process listens there; stop it or change "${setting}"`;
    case 'EADDRNOTAVAIL':
      return `this machine has no such address; change "${setting}"`;
    case 'EACCES':
      return 'not allowed; use a port above 1023 or give Weir the right to';
    case 'ENOTSUP':
      return 'this system cannot share an address; so_reuseport must be false';
    case 'ENOTFOUND':
      return `the host name is not known; change "${setting}"`;
    default:
      return undefined;
  }
}

export interface TcpAddress extends HostPort {
  /** Another process may listen there, too (so_reuseport). */
  readonly isShared?: boolean;
  readonly isIpv6Only?: boolean;
}

/** @param onError told of errors after it has begun to listen: a connection that cannot be accepted */
export function listenTcp(
  server: Server,
  { host, port, isShared = false, isIpv6Only = false }: TcpAddress,
  setting: 'listen' | 'http',
  onError: (error: Error) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const what = advice(error.code, setting) ?? error.message;
      reject(new Error(`cannot listen on ${host}:${port}: ${what}`, { cause: error }));
    });
    // Node 20 has no reusePort; config/checks.ts refuses so_reuseport there.
    const where: ListenOptions & { reusePort?: boolean } = { port, backlog, ipv6Only: isIpv6Only };
    // Without a host, Node listens on :: for IPv6 and IPv4, or on 0.0.0.0 where there is no IPv6.
    if (host !== '*') where.host = host;
    if (isShared) where.reusePort = true;
    server.listen(where, () => {
      server.removeAllListeners('error');
      server.on('error', onError);
      resolve();
    });
  });
}
