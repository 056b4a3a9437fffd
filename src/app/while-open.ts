/**
 * What is counted until the socket of a client closes. Every idle client has these listeners, so they are small: each is made in
 * a function of its own, and keeps nothing else of the log-in in memory, and `once` would add a wrapper to an event that comes
 * only once. Used by reception.ts, hand-overs.ts and replication.ts.
 */
import type { Socket } from 'node:net';
import type { Clients, Key } from './clients.ts';
import type { DatabaseRuntime } from './database.ts';

/** The client is registered until its socket closes. */
export function leaveAtClose(socket: Socket, clients: Clients, key: Key): void {
  socket.on('close', () => clients.leave(key));
}

/** Counts the client in the usage of its database. */
export function countInUsage(socket: Socket, { usage, monitored }: Pick<DatabaseRuntime, 'usage' | 'monitored'>): void {
  usage.clients++;
  monitored.begin();
  socket.on('close', () => void usage.clients--);
}
