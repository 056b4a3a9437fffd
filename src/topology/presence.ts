/**
 * Tells whether the server has the database at all, even when no client uses it. Queries the primary on the monitor's
 * connection when the problem is asked for and the last answer is old. Used by topology.ts.
 */
import type { Clock } from '../util/clock.ts';
import type { ProbeRow } from './samples.ts';

export interface PresenceOptions {
  /** The name of the database on the server. */
  readonly name: string;
  readonly clock: Clock;
  /** Queries the primary. Rejects if the monitor is not logged in there. */
  ask(sql: string, values: readonly unknown[]): Promise<ProbeRow[]>;
}

const SQL = 'SELECT count(*)::int AS found FROM pg_catalog.pg_database WHERE datname = $1 AND datallowconn';
/** How long an answer is valid: an existing database is rarely dropped, a missing one may be created at any moment. */
const KNOWN_MS = 30_000;
const MISSING_MS = 2_000;

export class Presence {
  readonly #options: PresenceOptions;
  #isMissing: boolean | undefined;
  #askedAtMs = -Infinity;

  constructor(options: PresenceOptions) {
    this.#options = options;
  }

  /** The last answer as a message; undefined: no problem known. Queries the primary again if the answer is old. */
  get problem(): string | undefined {
    this.#look();
    if (this.#isMissing !== true) return undefined;
    return `its server has no database "${this.#options.name}" that can be connected to: create it there, or mend the URL`;
  }

  #look(): void {
    const { ask, name, clock } = this.#options;
    const keptMs = this.#isMissing === false ? KNOWN_MS : MISSING_MS;
    if (clock.nowMs() - this.#askedAtMs < keptMs) return;
    this.#askedAtMs = clock.nowMs();
    ask(SQL, [name]).then(
      ([row]) => (this.#isMissing = row === undefined ? undefined : Number(row['found']) === 0),
      // A node that is down, or a monitor without a log-in, is reported elsewhere.
      () => (this.#isMissing = undefined),
    );
  }
}
