/**
 * Takes the connection out of a plain or Unix socket, so that another owner can go on with it, here or in another process
 * (subprocess.send). The old object ends as if it had been closed; the peer notices nothing. Called by wire.ts.
 */
import { Socket } from 'node:net';
import type { SocketConstructorOpts } from 'node:net';
import { ignoreError } from './message-reader.ts';

interface Handle {
  reading?: boolean;
  readStop?(): number;
}
type WithHandle = { _handle: Handle | null };

/** `unread`: bytes that Node has already read. */
export interface GivenAway {
  readonly socket: Socket;
  readonly unread: Buffer;
}

/** A TLS connection has its keys in this process, and its records may be half read. */
export function canGiveAway(socket: Socket): boolean {
  return !('encrypted' in socket) && !socket.destroyed && (socket as unknown as WithHandle)._handle !== null;
}

/**
 * Everything that was written must have been sent. All listeners of `socket` but those for 'close' should be removed
 * first; 'close' comes soon.
 * @returns a new, paused socket with the same connection
 */
export function giveAway(socket: Socket): GivenAway {
  const holder = socket as unknown as WithHandle;
  const handle = holder._handle as Handle;
  socket.pause();
  // Without net/direct-read.ts, pause() lets Node read on into the stream.
  handle.readStop?.();
  holder._handle = null;
  // Now that it has no handle, read() cannot begin to read again.
  const unread = (socket.read() as Buffer | null) ?? Buffer.alloc(0);
  socket.destroy();
  // pauseOnCreate is what net.Server uses for pauseOnConnect. Without it the new socket would begin to read.
  const options = { handle, readable: true, writable: true, pauseOnCreate: true };
  const given = new Socket(options as SocketConstructorOpts);
  given.on('error', ignoreError);
  return { socket: given, unread };
}
