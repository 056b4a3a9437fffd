/**
 * Whether the server has the database at all, also while nobody uses it: asked on the monitor's connection, when somebody
 * wants to know and what was heard last is old. Used by topology.ts.
 */
import type { Clock } from '../util/clock.ts';
import type { ProbeRow } from './samples.ts';

export interface PresenceOptions {
  /** Its name on the server. */
  readonly name: string;
  readonly clock: Clock;
  /** Of the primary. Rejects where nobody is logged in. */
  ask(sql: string, values: readonly unknown[]): Promise<ProbeRow[]>;
}

const SQL = 'SELECT count(*)::int AS found FROM pg_catalog.pg_database WHERE datname = $1 AND datallowconn';
/** One that is there will not be dropped so soon; one that is missing may be made at any moment. */
const KNOWN_MS = 30_000;
const MISSING_MS = 2_000;

export class Presence {
  readonly #options: PresenceOptions;
  #isMissing: boolean | undefined;
  #askedAtMs = -Infinity;

  constructor(options: PresenceOptions) {
    this.#options = options;
  }

  /** As last heard; asks anew if that is old. */
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
      // Nodes that are down, and a monitor without log-in, are told of as such.
      () => (this.#isMissing = undefined),
    );
  }
}
