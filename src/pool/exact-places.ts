/**
 * The places of connections to one node whose backends may still run: while the connections are being closed, and after they
 * were lost. Used by budget.ts where several Weirs have the connections of the node
 * together, and by workers/leased-budget.ts.
 */
import type { Socket } from 'node:net';
import type { PlaceUser } from './budget-types.ts';

interface KnowsBackends {
  whenGone(processId: number): Promise<void>;
}

/** A backend that has not noticed by then that its client is gone (a lost network) is not waited for any longer. */
const longestWaitMs = 5 * 60_000;

export class ExactPlaces {
  /** Connections that are being closed. */
  closing = 0;
  private readonly freed: () => void;
  private readonly backends = new Set<number>();

  constructor(freed: () => void) {
    this.freed = freed;
  }

  pids(): readonly number[] {
    return [...this.backends];
  }

  opened(processId: number): void {
    this.backends.add(processId);
  }

  forget(processId: number): void {
    this.backends.delete(processId);
  }

  /** The connection is being closed. @param share undefined: its place is free at once */
  give(server: PlaceUser, share: KnowsBackends | undefined): void {
    if (share === undefined) return this.closed(server.processId, true, undefined);
    this.closing++;
    whenClosed(server.wire.socket, (isGone) => {
      this.closing--;
      this.closed(server.processId, isGone, share);
    });
  }

  /** @param isGone the server has closed its end */
  closed(processId: number, isGone: boolean, share: KnowsBackends | undefined): void {
    if (isGone || share === undefined) {
      this.backends.delete(processId);
      return this.freed();
    }
    let isFree = false;
    const free = (): void => {
      if (isFree) return;
      isFree = true;
      clearTimeout(late);
      this.backends.delete(processId);
      this.freed();
    };
    const late = setTimeout(free, longestWaitMs).unref();
    share.whenGone(processId).then(free, () => undefined);
  }

  /** The place is kept for another log-in. @returns false: the place is lost until the backend is gone */
  vacated(server: PlaceUser, share: KnowsBackends): Promise<boolean> {
    return new Promise((resolve) => {
      whenClosed(server.wire.socket, (isGone) => {
        if (isGone) this.backends.delete(server.processId);
        else this.closed(server.processId, false, share);
        resolve(isGone);
      });
    });
  }
}

/** `isGone`: the server has closed its end, too; it does that when the backend has ended. */
export function whenClosed(socket: Socket, closed: (isGone: boolean) => void): void {
  if (socket.closed) closed(socket.readableEnded);
  else socket.once('close', () => closed(socket.readableEnded));
}
