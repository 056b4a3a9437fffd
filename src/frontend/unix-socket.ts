/**
 * Listens on a Unix socket, `.s.PGSQL.<port>` in a directory. As in PostgreSQL, a lock file beside it has the process
 * ID, so that another Weir or PostgreSQL does not take the socket. Files of a process that has died are replaced; a
 * socket on which a process listens is not. Both files are removed at the end. Made by frontend/listener.ts.
 */
import { chmodSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync, unlinkSync, writeFileSync } from 'node:fs';
import type { Server, Socket } from 'node:net';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { backlog } from '../util/listen-options.ts';

export interface UnixSocketOptions {
  readonly dir: string;
  readonly port: number;
  /** Permissions of the socket file, which decide who may connect. */
  readonly mode: number;
  /** The owner of the connection will read it, maybe in another process. */
  readonly pauseOnConnect?: boolean;
  onConnection(socket: Socket): void;
  onError(error: Error): void;
}

export interface UnixSocket {
  readonly path: string;
  readonly server: Server;
  /** The lock file names this process from now on: another one had it, and does not go on. */
  claim(): void;
  close(): void;
}

/** Length of sun_path without its zero, in bytes. */
const longestPath = 107;
/** A lock older than this, on whose socket no process listens, is stale: another process has got the same ID. */
const startingMs = 60_000;
const probeMs = 5_000;

/** Rejects with an Error that tells the operator what to do. */
export async function openUnixSocket(options: UnixSocketOptions): Promise<UnixSocket> {
  const { dir, port, mode, pauseOnConnect = false } = options;
  const path = join(dir, `.s.PGSQL.${port}`);
  const lock = `${path}.lock`;
  const refuse = (why: string, cause?: unknown): Error =>
    new Error(`cannot listen on ${path}: ${why}; change "unix_socket_dir" or "listen"`, { cause });
  // With some room for the temporary directory of bind().
  if (Buffer.byteLength(path) + 8 > longestPath) throw refuse('the path is too long for a socket');
  if (await isListening(path)) throw refuse('another process listens there');
  const server = createServer({ pauseOnConnect }, (socket) => options.onConnection(socket));
  try {
    takeLock(lock);
    await bind(server, dir, path, mode);
  } catch (error) {
    server.close();
    if (ownerOf(lock) === process.pid) rmSync(lock, { force: true });
    const { code, message } = error as NodeJS.ErrnoException;
    throw refuse(code === 'EACCES' ? 'Weir may not write into the directory' : message, error);
  }
  server.on('error', (error) => options.onError(error));
  return opened(server, path, options.onError);
}

function opened(server: Server, path: string, onError: (error: Error) => void): UnixSocket {
  const lock = `${path}.lock`;
  const ino = statSync(path, { throwIfNoEntry: false })?.ino;
  return {
    path,
    server,
    claim: () => claimLock(lock, onError),
    close() {
      server.close();
      // Not if another process has replaced the socket file.
      if (ino !== undefined && statSync(path, { throwIfNoEntry: false })?.ino === ino) unlinkSync(path);
      if (ownerOf(lock) === process.pid) rmSync(lock, { force: true });
    },
  };
}

/** Goes on listening on a socket that another process has opened and passed on; its files belong to this process now. */
export function takeUnixSocket(
  fd: number,
  path: string,
  options: Omit<UnixSocketOptions, 'dir' | 'port' | 'mode'>,
): UnixSocket {
  const { pauseOnConnect = false } = options;
  const server = createServer({ pauseOnConnect }, (socket) => options.onConnection(socket));
  server.on('error', (error) => options.onError(error));
  server.listen({ fd, backlog });
  const taken = opened(server, path, options.onError);
  taken.claim();
  return taken;
}

/** Renamed, so that there is a lock at every moment. */
function claimLock(lock: string, onError: (error: Error) => void): void {
  try {
    writeFileSync(`${lock}.${process.pid}`, `${process.pid}\n`, { mode: 0o644 });
    renameSync(`${lock}.${process.pid}`, lock);
  } catch (error) {
    onError(error as Error);
  }
}

/**
 * Binds in a private directory and sets the permissions there, so that nobody can connect before; then moves the file.
 */
async function bind(server: Server, dir: string, path: string, mode: number): Promise<void> {
  const temporaryDir = mkdtempSync(join(dir, '.w'));
  try {
    const temporaryPath = join(temporaryDir, 's');
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ path: temporaryPath, backlog }, () => {
        server.off('error', reject);
        resolve();
      });
    });
    chmodSync(temporaryPath, mode);
    renameSync(temporaryPath, path);
  } finally {
    rmSync(temporaryDir, { recursive: true, force: true });
  }
}

function isListening(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ path });
    const settle = (is: boolean): void => {
      socket.destroy();
      resolve(is);
    };
    socket.setTimeout(probeMs, () => settle(true));
    socket.once('connect', () => settle(true));
    // After any other error, such as a full backlog or no permission, a process may be listening.
    socket.once('error', (error: NodeJS.ErrnoException) =>
      settle(!['ECONNREFUSED', 'ENOENT', 'ENOTSOCK'].includes(error.code ?? '')),
    );
  });
}

/** @throws Error if another process holds the lock, or the file cannot be written */
function takeLock(lock: string): void {
  for (let attempt = 0; attempt < 10; attempt++) {
    try {
      writeFileSync(lock, `${process.pid}\n`, { flag: 'wx', mode: 0o644 });
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const owner = ownerOf(lock);
    const ageMs = Date.now() - (statSync(lock, { throwIfNoEntry: false })?.mtimeMs ?? 0);
    if (owner !== process.pid && ageMs < startingMs && isAlive(owner)) {
      throw new Error(`process ${owner} has locked it (${lock})`);
    }
    rmSync(lock, { force: true });
  }
  throw new Error(`others lock it all the time (${lock})`);
}

function ownerOf(lock: string): number {
  try {
    // PostgreSQL's lock file has more lines, and a negative process ID for a standalone backend.
    return Math.abs(Number.parseInt(readFileSync(lock, 'latin1'), 10)) || 0;
  } catch {
    return 0;
  }
}

function isAlive(pid: number): boolean {
  if (pid === 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
