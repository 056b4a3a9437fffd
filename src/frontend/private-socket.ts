/**
 * Whether only the system user of this process, and root, can reach a Unix socket: by its own permissions or by those of a directory
 * above it. Node cannot ask the kernel who is at the other end, but then nobody else can be. Called by app/reception.ts.
 */
import { lstatSync, realpathSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** Of group and others; an access control list shows among them, too. */
const ofOthers = 0o077;

/** @param dir the setting unix_socket_dir */
export function isPrivateSocket(dir: string, port: number): boolean {
  // Sockets that systemd has opened are elsewhere.
  if (process.env['LISTEN_FDS'] !== undefined) return false;
  try {
    const socket = lstatSync(join(dir, `.s.PGSQL.${port}`));
    return socket.isSocket() && (isOurs(socket) || isBehindOurDirectory(realpathSync(dir)));
  } catch {
    return false;
  }
}

function isBehindOurDirectory(dir: string): boolean {
  const above = dirname(dir);
  return isOurs(statSync(dir)) || (above !== dir && isBehindOurDirectory(above));
}

function isOurs({ uid, mode }: { readonly uid: number; readonly mode: number }): boolean {
  return uid === process.getuid?.() && (mode & ofOthers) === 0;
}
