/**
 * Closes a connection that has not logged in: sends a last message, gives the client a second to read it, and destroys
 * the socket. Called by frontend/login.ts, among others.
 */
import type { Socket } from 'node:net';
import type { WeirError } from '../errors/errors.ts';
import { ignoreError } from '../net/message-reader.ts';
import { errorResponse } from '../protocol/write.ts';
import type { ClientWords } from './pgbouncer-words.ts';

/** To close without a message, but in the regular way. */
export const noMessage = Buffer.alloc(0);

/** How long the client may take to read the last message. */
const lingerMs = 1_000;

/** The ErrorResponse for an error that ends a log-in. Always FATAL, because the connection is closed. */
export function fatal(error: ClientWords): Buffer {
  const { sqlstate, message, detail, hint } = error;
  return errorResponse({ severity: 'FATAL', sqlstate, message, detail, hint });
}

/** The same in protocol 1 and 2, where a message has no length and an error no fields. */
export function fatalOfOldProtocol(error: WeirError): Buffer {
  return Buffer.from(`EFATAL:  ${error.message}\n\0`);
}

/** @param lastMessage undefined: the socket is destroyed at once */
export function closeAfter(socket: Socket, lastMessage: Buffer | undefined): void {
  if (socket.destroyed) return;
  if (lastMessage === undefined || !socket.writable) {
    socket.destroy();
    return;
  }
  socket.on('error', ignoreError);
  const deadline = setTimeout(() => socket.destroy(), lingerMs);
  deadline.unref();
  socket.once('close', () => clearTimeout(deadline));
  socket.end(lastMessage);
  // Closing a socket with unread input sends a reset, which can make the client lose the last message.
  socket.resume();
}
