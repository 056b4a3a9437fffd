/**
 * Limits how many connections the catalog watches of all databases hold at one server. A watch keeps its connection until
 * another watch waits for one; then it closes it once its question is answered. Used by catalog-link.ts.
 */
import { OwnConnections, type Place } from './own-connections.ts';

/** Most connections at one server at any moment. */
const MAX_CONNECTIONS = 5;
/** Up to so many databases per connection, every watch looks as often as if it were alone. */
const DATABASES_PER_CONNECTION = 4;

export interface ConnectionHolder {
  /** Another watch waits. Gives its connection back and returns true, unless it has a question under way. */
  isWanted(): boolean;
}

export class CatalogConnections {
  /** Of places only: each watch asks another database, so no watch can use the connection of another. */
  readonly #places = new OwnConnections<never>({
    max: MAX_CONNECTIONS,
    isOpen: () => true,
    close: () => undefined,
    keepIdleMs: 0,
  });
  /** In the order in which they got their places. */
  readonly #holders = new Map<ConnectionHolder, Place<never>>();
  /** Databases that watch their catalog at this server, connected or waiting. */
  users = 0;

  get hasWaiters(): boolean {
    return this.#places.hasWaiters;
  }

  /** Factor >= 1 for the pause between two looks: with too many databases, each would do nothing but log in. */
  get crowding(): number {
    return Math.max(1, this.users / (MAX_CONNECTIONS * DATABASES_PER_CONNECTION));
  }

  /** Resolves with true once `holder` may connect, with false if `signal` was aborted first. */
  async take(holder: ConnectionHolder, signal: AbortSignal): Promise<boolean> {
    const { isFull } = this.#places;
    const taken = this.#places.take(signal);
    // One is enough. The newest gives way: the watches look in turn, so the oldest would always lose its connection
    // just before it is needed again.
    if (isFull && !signal.aborted) for (const each of [...this.#holders.keys()].reverse()) if (each.isWanted()) break;
    const place = await taken;
    if (place === undefined) return false;
    this.#holders.set(holder, place);
    return true;
  }

  /** After its connection is closed. */
  giveBack(holder: ConnectionHolder): void {
    const place = this.#holders.get(holder);
    if (place === undefined) return;
    this.#holders.delete(holder);
    this.#places.giveBack(place);
  }
}
