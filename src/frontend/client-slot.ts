/** Counts a client under max_client_conn, and under the limits of its user and database. Part of the log-in, login.ts. */
import type { Socket } from 'node:net';
import type { Entry, Guest } from '../util/client-counts.ts';
import type { ClientSlots } from './types.ts';

/** One client counted under max_client_conn, until its socket closes or leave() is called. */
export class ClientSlot {
  private readonly socket: Socket;
  private release: (() => void) | undefined;

  constructor(socket: Socket) {
    this.socket = socket;
  }

  /** @returns true, or which limit is reached */
  async tryTake(seats: ClientSlots, guest: Guest | undefined): Promise<Entry> {
    const entry = await seats.tryEnter(guest);
    if (entry !== true) return entry;
    const release = (): void => seats.leave(guest);
    this.release = release;
    this.socket.on('close', release);
    // It closed while the supervisor was asked: 'close' does not come again.
    if (this.socket.closed) release();
    return true;
  }

  leave(): void {
    // If the socket is closed, its 'close' event does the same.
    if (this.release === undefined || this.socket.closed) return;
    this.socket.off('close', this.release);
    this.release();
    this.release = undefined;
  }
}
