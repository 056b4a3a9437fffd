/**
 * Limits how many connections the catalog watches of all databases hold at one server. A watch keeps its connection until
 * another watch waits for one; then it closes it once its question is answered. Used by catalog-link.ts.
 */

/** Most connections at one server at any moment. */
const MAX_CONNECTIONS = 5;
/** Up to so many databases per connection, every watch looks as often as if it were alone. */
const DATABASES_PER_CONNECTION = 4;

export interface ConnectionHolder {
  /** Another watch waits. Gives its connection back and returns true, unless it has a question under way. */
  isWanted(): boolean;
}

export class CatalogConnections {
  readonly #holders = new Set<ConnectionHolder>();
  /** Databases that watch their catalog at this server, connected or waiting. */
  users = 0;
  readonly #waiting: { readonly holder: ConnectionHolder; readonly grant: () => void }[] = [];

  get hasWaiters(): boolean {
    return this.#waiting.length > 0;
  }

  /** Factor >= 1 for the pause between two looks: with too many databases, each would do nothing but log in. */
  get crowding(): number {
    return Math.max(1, this.users / (MAX_CONNECTIONS * DATABASES_PER_CONNECTION));
  }

  /** Resolves with true once `holder` may connect, with false if `signal` was aborted first. */
  take(holder: ConnectionHolder, signal: AbortSignal): Promise<boolean> {
    if (this.#holders.size < MAX_CONNECTIONS && this.#waiting.length === 0) {
      this.#holders.add(holder);
      return Promise.resolve(true);
    }
    return new Promise((resolve) => {
      const entry = {
        holder,
        grant: () => {
          signal.removeEventListener('abort', cancel);
          resolve(true);
        },
      };
      const cancel = (): void => {
        const at = this.#waiting.indexOf(entry);
        if (at !== -1) this.#waiting.splice(at, 1);
        resolve(false);
      };
      if (signal.aborted) return resolve(false);
      signal.addEventListener('abort', cancel, { once: true });
      this.#waiting.push(entry);
      // One is enough. The newest gives way: the watches look in turn, so the oldest would always lose its connection
      // just before it is needed again.
      for (const each of [...this.#holders].reverse()) if (each.isWanted()) break;
    });
  }

  giveBack(holder: ConnectionHolder): void {
    if (!this.#holders.delete(holder)) return;
    const next = this.#waiting.shift();
    if (next === undefined) return;
    this.#holders.add(next.holder);
    next.grant();
  }
}
