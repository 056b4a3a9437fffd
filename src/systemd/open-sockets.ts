/**
 * Socket activation: the listening sockets that systemd passes to a service as file descriptors from 3 on (sd_listen_fds),
 * and what each is for. Called by app/lifecycle.ts.
 */
import { createServer, type Server, type Socket } from 'node:net';
import type { HostPort } from '../config/config.ts';
import { backlog, clientSocketOptions } from '../util/listen-options.ts';
import type { ListenHandle, OpenSocket } from './types.ts';

const firstFd = 3;

export interface PassedFd {
  readonly fd: number;
  readonly name: string;
}

/** What sd_listen_fds() finds: nothing if the variables are meant for another process. */
export function passedFds(env: NodeJS.ProcessEnv, pid: number): PassedFd[] {
  const count = Number(env['LISTEN_FDS']);
  if (env['LISTEN_PID'] !== String(pid) || !Number.isInteger(count)) return [];
  const names = (env['LISTEN_FDNAMES'] ?? '').split(':');
  return Array.from({ length: Math.max(count, 0) }, (_, i) => ({ fd: firstFd + i, name: names[i] ?? '' }));
}

/**
 * Rejects with an Error that tells the operator what to do.
 * @param pauseOnConnect nothing of a connection is read here: a supervisor passes it on to another process
 */
export async function openSockets(passed: readonly PassedFd[], pauseOnConnect = false): Promise<OpenSocket[]> {
  const sockets: OpenSocket[] = [];
  for (const each of passed) sockets.push(await openSocket(each, pauseOnConnect));
  return sockets;
}

async function openSocket(passed: PassedFd, pauseOnConnect: boolean): Promise<OpenSocket> {
  const server = createServer({ ...clientSocketOptions, pauseOnConnect });
  const early: Socket[] = [];
  let listener = (socket: Socket): void => void early.push(socket.on('error', () => undefined));
  server.on('connection', (socket) => listener(socket));
  await listenOn(server, passed);
  const passOn = (next: (socket: Socket) => void): void => {
    listener = next;
    for (const socket of early.splice(0)) next(socket);
  };
  return {
    name: passed.name,
    address: addressOf(server),
    onConnection: passOn,
    onError: (report) => void server.on('error', report),
    moveTo(target) {
      // The target takes over the handle, and with it all later connections.
      target.listen(server, backlog);
      passOn((socket) => void target.emit('connection', socket));
    },
    close: () => void server.close(),
    handle: () => handleOf(server),
  };
}

/** @param server must be listening */
export function handleOf(server: Server): ListenHandle {
  return (server as unknown as { _handle: ListenHandle })._handle;
}

async function listenOn(server: Server, { fd, name }: PassedFd): Promise<void> {
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ fd, backlog }, () => {
        server.off('error', reject);
        resolve();
      });
    });
  } catch (error) {
    const what = error instanceof Error ? error.message : String(error);
    const advice = 'it must be a listening stream socket: ListenStream=, and not Accept=yes';
    throw new Error(`the socket that systemd passes as file descriptor ${fd} (${name}): ${what}; ${advice}`, {
      cause: error,
    });
  }
}

function addressOf(server: Server): HostPort | undefined {
  const found = server.address();
  return found === null || typeof found === 'string' ? undefined : { host: found.address, port: found.port };
}

export interface SocketUses {
  /** TCP and Unix sockets for clients. */
  readonly clients: readonly OpenSocket[];
  readonly http: OpenSocket | undefined;
}

/**
 * The socket named `http`, or on the port of the setting http, is for HTTP; all others, and one named `clients` in any case,
 * are for clients.
 * @throws Error that tells the operator what to do
 */
export function assignSockets(sockets: readonly OpenSocket[], http: HostPort | undefined): SocketUses {
  const isForHttp = ({ name, address }: OpenSocket): boolean =>
    name === 'http' || (name !== 'clients' && address !== undefined && address.port === http?.port);
  const [first, second] = sockets.filter(isForHttp);
  if (second !== undefined) throw new Error('systemd passes two sockets for HTTP; one is enough');
  if (first !== undefined && http === undefined)
    throw new Error('systemd passes a socket named http, but the setting http is null');
  if (first !== undefined && first.address === undefined)
    throw new Error('systemd passes a Unix socket for HTTP, which must be a TCP socket');
  return { clients: sockets.filter((socket) => socket !== first), http: first };
}
