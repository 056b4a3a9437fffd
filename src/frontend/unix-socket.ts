/**
 * Listens on a Unix socket, `.s.PGSQL.<port>` in a directory, under the rules of PostgreSQL: a lock file beside it with the
 * process id, so that neither another Weir nor a PostgreSQL takes it away. What a process that died has left behind is
 * taken over; what somebody listens on never is. Both files are removed at the end. Made by frontend/listener.ts.
 */
import { chmodSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync, unlinkSync, writeFileSync } from 'node:fs';
import type { Server, Socket } from 'node:net';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';

export interface UnixSocketOptions {
  readonly dir: string;
  readonly port: number;
  /** Who may connect: the permissions of the socket. */
  readonly mode: number;
  onConnection(socket: Socket): void;
  onError(error: Error): void;
}

export interface UnixSocket {
  readonly path: string;
  close(): void;
}

/** sun_path without its zero. */
const longestPath = 107;
/** Who has locked a socket for so long and does not listen is not about to: it is another process with the same id. */
const startingMs = 60_000;
const probeMs = 5_000;

/** Rejects with an Error that says what to do. */
export async function openUnixSocket(options: UnixSocketOptions): Promise<UnixSocket> {
  const { dir, port, mode } = options;
  const path = join(dir, `.s.PGSQL.${port}`);
  const lock = `${path}.lock`;
  const refuse = (why: string, cause?: unknown): Error =>
    new Error(`cannot listen on ${path}: ${why}; change "unix_socket_dir" or "listen"`, { cause });
  // Room for the directory in which it is made ready.
  if (Buffer.byteLength(path) + 8 > longestPath) throw refuse('the path is too long for a socket');
  if (await isListening(path)) throw refuse('another process listens there');
  const server = createServer((socket) => options.onConnection(socket));
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
  const { ino } = statSync(path);
  return {
    path,
    close() {
      server.close();
      // Whoever has put another socket in its place keeps it.
      if (statSync(path, { throwIfNoEntry: false })?.ino === ino) unlinkSync(path);
      if (ownerOf(lock) === process.pid) rmSync(lock, { force: true });
    },
  };
}

/** Nobody may connect before the permissions are right: made in a directory of our own, and moved into place. */
async function bind(server: Server, dir: string, path: string, mode: number): Promise<void> {
  const workshop = mkdtempSync(join(dir, '.w'));
  try {
    const made = join(workshop, 's');
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ path: made, backlog: 4096 }, () => {
        server.off('error', reject);
        resolve();
      });
    });
    chmodSync(made, mode);
    renameSync(made, path);
  } finally {
    rmSync(workshop, { recursive: true, force: true });
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
    // Anything else (a full backlog, no permission) may well be somebody alive.
    socket.once('error', (error: NodeJS.ErrnoException) =>
      settle(!['ECONNREFUSED', 'ENOENT', 'ENOTSOCK'].includes(error.code ?? '')),
    );
  });
}

/** @throws Error if somebody else has it, or it cannot be written */
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
    // PostgreSQL writes more lines; a negative id is that of a server without a postmaster.
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
