/**
 * Closing a connection that never became a client: last words, a moment to take them, then gone. Called by the door.
 */
import type { Socket } from 'node:net';
import type { WeirError } from '../errors.ts';
import { ignoreError } from '../net/message-reader.ts';
import { errorResponse } from '../protocol/write.ts';

/** For an orderly close with nothing left to say. */
export const noWords = Buffer.alloc(0);

/** What the peer gets to take the last words. */
const lingerMs = 1_000;

/** Everything that is said before a session exists ends the connection, so it is FATAL, whatever the table says. */
export function fatal(error: WeirError): Buffer {
  const { sqlstate, message, detail, hint } = error;
  return errorResponse({ severity: 'FATAL', sqlstate, message, detail, hint });
}

/** The same before version 3 of the protocol, where a message had no length and an error no fields. */
export function fatalOfOld(error: WeirError): Buffer {
  return Buffer.from(`EFATAL:  ${error.message}\n\0`);
}

export function closeWith(socket: Socket, lastWords: Buffer | undefined): void {
  if (socket.destroyed) return;
  if (lastWords === undefined || !socket.writable) {
    socket.destroy();
    return;
  }
  socket.on('error', ignoreError);
  const deadline = setTimeout(() => socket.destroy(), lingerMs);
  deadline.unref();
  socket.once('close', () => clearTimeout(deadline));
  socket.end(lastWords);
  // Unread input would turn the close into a reset that can overtake the last words.
  socket.resume();
}
