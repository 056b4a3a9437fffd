/**
 * Pools Weir's own connections, those not made for a client, with the package generic-pool: at most `max`, callers
 * wait in line, idle ones are closed. The package hands out places; the caller opens the connection in its place, so
 * that it gets a log-in error at once (docs/adr/0010-packages.md). Only this file imports generic-pool. Used by
 * catalog-connections.ts and app/auth-query.ts.
 */
import { createPool, type Pool } from 'generic-pool';

export interface Place<T> {
  /** undefined: not opened yet, or closed. */
  connection: T | undefined;
}

export interface OwnConnectionsOptions<T> {
  readonly max: number;
  readonly isOpen: (connection: T) => boolean;
  readonly close: (connection: T) => void;
  /** Closes a connection that was idle for this time; 0: never. */
  readonly keepIdleMs: number;
}

/** As a share of `keepIdleMs`: how much later an idle connection may be closed. */
const LATE_SHARE = 0.1;

export class OwnConnections<T> {
  readonly #options: OwnConnectionsOptions<T>;
  readonly #pool: Pool<Place<T>>;
  /** All places, in use and idle: the package does not list them. */
  readonly #places = new Set<Place<T>>();
  #isRetired = false;

  constructor(options: OwnConnectionsOptions<T>) {
    const { max, isOpen, keepIdleMs } = options;
    this.#options = options;
    this.#pool = createPool<Place<T>>(
      {
        create: () => Promise.resolve(this.#newPlace()),
        validate: ({ connection }) => Promise.resolve(connection === undefined || isOpen(connection)),
        destroy: (place) => {
          this.#places.delete(place);
          return Promise.resolve(this.#close(place));
        },
      },
      {
        max,
        testOnBorrow: true,
        // Hand out the most recently used place, so that the others become idle and are closed.
        fifo: false,
        idleTimeoutMillis: keepIdleMs,
        evictionRunIntervalMillis: keepIdleMs * LATE_SHARE,
        numTestsPerEvictionRun: max,
      },
    );
  }

  /** Number of places, in use and idle. */
  get size(): number {
    return this.#pool.size;
  }

  /** The next `take` has to wait until a place is given back. */
  get isFull(): boolean {
    return this.#pool.borrowed + this.#pool.pending >= this.#options.max;
  }

  /** At least one `take` is waiting. */
  get hasWaiters(): boolean {
    return this.#pool.borrowed + this.#pool.pending > this.#options.max;
  }

  /** @returns a place, with its connection if that is still open; undefined if `signal` was aborted first */
  async take(signal: AbortSignal): Promise<Place<T> | undefined> {
    if (signal.aborted) return undefined;
    // The package cannot cancel a waiting `acquire`: after an abort, the place is given back as soon as it is
    // granted.
    const granted = this.#pool.acquire();
    let onAbort = (): void => undefined;
    const aborted = new Promise<undefined>((resolve) => (onAbort = () => resolve(undefined)));
    signal.addEventListener('abort', onAbort, { once: true });
    const place = await Promise.race([granted, aborted]);
    signal.removeEventListener('abort', onAbort);
    if (place === undefined) void granted.then((late) => this.giveBack(late));
    return place;
  }

  /** An open connection stays in the place for the next caller. */
  giveBack(place: Place<T>): void {
    if (!this.#pool.isBorrowedResource(place)) return;
    if (this.#isRetired) void this.#pool.destroy(place);
    else void this.#pool.release(place);
  }

  /** No place may be taken any more. Closes each place in use when it is given back, then the idle ones. */
  async retire(): Promise<void> {
    this.#isRetired = true;
    await this.#pool.drain();
    await this.#pool.clear();
  }

  /** Closes all connections now, including those in use. */
  stop(): void {
    void this.retire();
    for (const place of this.#places) this.#close(place);
  }

  #newPlace(): Place<T> {
    const place = { connection: undefined };
    this.#places.add(place);
    return place;
  }

  #close(place: Place<T>): void {
    const { connection } = place;
    place.connection = undefined;
    if (connection !== undefined) this.#options.close(connection);
  }
}
