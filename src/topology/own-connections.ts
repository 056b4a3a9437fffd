/**
 * Weir's own connections that are kept between two questions, with the package generic-pool: at most `max` at once, others
 * wait in line, and what nobody has used for a while is closed. The package hands out places; whoever has a place opens
 * the connection in it, so that a failed log-in is its own error at once (docs/adr/0010-packages.md). No other file
 * imports generic-pool. Used by catalog-connections.ts and app/auth-query.ts.
 */
import { createPool, type Pool } from 'generic-pool';

export interface Place<T> {
  /** undefined: none has been opened yet, or it has been closed. */
  connection: T | undefined;
}

export interface OwnConnectionsOptions<T> {
  readonly max: number;
  readonly isOpen: (connection: T) => boolean;
  readonly close: (connection: T) => void;
  /** A connection that nobody has used for so long is closed; 0: it is not. */
  readonly keepIdleMs: number;
}

/** Of `keepIdleMs`: how much later than that an idle connection may be closed. */
const LATE_SHARE = 0.1;

export class OwnConnections<T> {
  readonly #options: OwnConnectionsOptions<T>;
  readonly #pool: Pool<Place<T>>;
  /** Lent and idle ones: the package does not say which there are. */
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
        // The one that was used last: the others become idle, and are closed.
        fifo: false,
        idleTimeoutMillis: keepIdleMs,
        evictionRunIntervalMillis: keepIdleMs * LATE_SHARE,
        numTestsPerEvictionRun: max,
      },
    );
  }

  /** Lent and idle ones. */
  get size(): number {
    return this.#pool.size;
  }

  /** Who asks for a place now has to wait until one is given back. */
  get isFull(): boolean {
    return this.#pool.borrowed + this.#pool.pending >= this.#options.max;
  }

  /** Somebody waits until a place is given back. */
  get hasWaiters(): boolean {
    return this.#pool.borrowed + this.#pool.pending > this.#options.max;
  }

  /** A place, with its connection if that is still open; undefined if `signal` was aborted first. */
  async take(signal: AbortSignal): Promise<Place<T> | undefined> {
    if (signal.aborted) return undefined;
    // The package cannot take somebody out of the line: who has gone gives the place back when it comes.
    const granted = this.#pool.acquire();
    let onAbort = (): void => undefined;
    const aborted = new Promise<undefined>((resolve) => (onAbort = () => resolve(undefined)));
    signal.addEventListener('abort', onAbort, { once: true });
    const place = await Promise.race([granted, aborted]);
    signal.removeEventListener('abort', onAbort);
    if (place === undefined) void granted.then((late) => this.giveBack(late));
    return place;
  }

  /** The connection in it, if there is one, is kept for the next. */
  giveBack(place: Place<T>): void {
    if (!this.#pool.isBorrowedResource(place)) return;
    if (this.#isRetired) void this.#pool.destroy(place);
    else void this.#pool.release(place);
  }

  /** Closes what is lent when it is given back, and then what is idle. Nobody may take a place any more. */
  async retire(): Promise<void> {
    this.#isRetired = true;
    await this.#pool.drain();
    await this.#pool.clear();
  }

  /** Closes everything now. */
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
