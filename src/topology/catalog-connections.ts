/**
 * Limits how many connections the catalog watches of all databases hold at one server. A watch keeps its connection
 * until another watch waits for one; then it closes it once its question is answered. Used by catalog-link.ts.
 */
import { OwnConnections, type Place } from './own-connections.ts';

/** Most connections at one server at any moment. */
const MAX_CONNECTIONS = 5;
/** Up to this many databases per connection, every watch polls at its normal interval. */
const DATABASES_PER_CONNECTION = 4;

export interface ConnectionHolder {
  /** Another watch waits for a connection. Closes this one and returns true, unless a question is under way on it. */
  isWanted(): boolean;
}

export class CatalogConnections {
  /**
   * Limits the number of connections but stores none: each watch is connected to its own database, so no watch can use
   * another's connection.
   */
  readonly #places = new OwnConnections<never>({
    max: MAX_CONNECTIONS,
    isOpen: () => true,
    close: () => undefined,
    keepIdleMs: 0,
  });
  /** In the order in which they were granted. */
  readonly #holders = new Map<ConnectionHolder, Place<never>>();
  /** Databases that watch their catalog at this server, connected or waiting. */
  users = 0;

  get hasWaiters(): boolean {
    return this.#places.hasWaiters;
  }

  /**
   * Factor >= 1 for the pause between two looks: without it, too many databases would spend all the time on logging
   * in.
   */
  get crowding(): number {
    return Math.max(1, this.users / (MAX_CONNECTIONS * DATABASES_PER_CONNECTION));
  }

  /** Resolves with true once `holder` may connect, with false if `signal` was aborted first. */
  async take(holder: ConnectionHolder, signal: AbortSignal): Promise<boolean> {
    const { isFull } = this.#places;
    const taken = this.#places.take(signal);
    // Asks the holders, newest first, until one gives its connection back. Newest first because the watches poll in
    // turn: the oldest holder is the next to need its connection again.
    if (isFull && !signal.aborted) for (const each of [...this.#holders.keys()].reverse()) if (each.isWanted()) break;
    const place = await taken;
    if (place === undefined) return false;
    this.#holders.set(holder, place);
    return true;
  }

  /** Call after the holder's connection is closed. */
  giveBack(holder: ConnectionHolder): void {
    const place = this.#holders.get(holder);
    if (place === undefined) return;
    this.#holders.delete(holder);
    this.#places.giveBack(place);
  }
}
