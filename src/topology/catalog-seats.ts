/**
 * How many connections the catalogs of all databases may have at one server. Who has a seat keeps its connection, unless
 * somebody waits for one: then it is closed as soon as its question is answered. Used by schema-watch.ts.
 */

/** At once, at one server. */
const SEATS = 5;
/** Databases per seat up to which everybody looks as often as if it were alone. */
const CALM_CROWD = 4;

export interface SeatHolder {
  /** Somebody waits: gives the seat back and says so, unless something is under way. */
  isWanted(): boolean;
}

export class CatalogSeats {
  readonly #holders = new Set<SeatHolder>();
  /** Databases that look at their catalog at present, with a seat or without. */
  users = 0;
  readonly #waiting: { readonly holder: SeatHolder; readonly grant: () => void }[] = [];

  get hasWaiters(): boolean {
    return this.#waiting.length > 0;
  }

  /** By how much looks must be rarer, that those who share the seats do not do nothing but log in. */
  get crowding(): number {
    return Math.max(1, this.users / (SEATS * CALM_CROWD));
  }

  /** Resolves with false if it was cancelled by `signal` first. */
  take(holder: SeatHolder, signal: AbortSignal): Promise<boolean> {
    if (this.#holders.size < SEATS && this.#waiting.length === 0) {
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
      // One is enough. All look in turn: did the oldest go, nobody would ever find its connection still open.
      for (const each of [...this.#holders].reverse()) if (each.isWanted()) break;
    });
  }

  giveBack(holder: SeatHolder): void {
    if (!this.#holders.delete(holder)) return;
    const next = this.#waiting.shift();
    if (next === undefined) return;
    this.#holders.add(next.holder);
    next.grant();
  }
}
