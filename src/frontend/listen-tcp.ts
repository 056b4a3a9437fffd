/**
 * Makes a server listen on an address, with errors that tell the operator what to do. Called by listener.ts, and by
 * workers/listening.ts for a Weir with several processes.
 */
import type { Server } from 'node:net';
import type { HostPort } from '../config/config.ts';

/** The kernel uses the smaller of this and net.core.somaxconn. */
const backlog = 4096;

/** @param setting of which the address is */
function advice(code: string | undefined, setting: string): string | undefined {
  switch (code) {
    case 'EADDRINUSE':
      return `another process listens there; stop it or change "${setting}"`;
    case 'EADDRNOTAVAIL':
      return `this machine has no such address; change "${setting}"`;
    case 'EACCES':
      return 'not allowed; use a port above 1023 or give Weir the right to';
    case 'ENOTFOUND':
      return `the host name is not known; change "${setting}"`;
    default:
      return undefined;
  }
}

/** @param onError told of errors after it has begun to listen: a connection that cannot be accepted */
export function listenTcp(
  server: Server,
  { host, port }: HostPort,
  setting: 'listen' | 'http',
  onError: (error: Error) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const what = advice(error.code, setting) ?? error.message;
      reject(new Error(`cannot listen on ${host}:${port}: ${what}`, { cause: error }));
    });
    server.listen({ ...(host === '*' ? {} : { host }), port, backlog }, () => {
      server.removeAllListeners('error');
      server.on('error', onError);
      resolve();
    });
  });
}
