/**
 * The secrets with which Weir logs in to servers as a client's user: those of auth.file, those that log-ins of clients have
 * proven, and those from auth.query of users who then logged in. Filled by reception.ts.
 */
import type { ScramKeys } from '../auth/scram.ts';
import type { Proven } from '../auth/types.ts';

export interface Credential {
  readonly secret: string | undefined;
  readonly scramKeys: ScramKeys | undefined;
}

export class Credentials {
  private readonly users: ReadonlyMap<string, string>;
  /** Users in auth.file are the same for all databases; users of auth.query are kept by database and user. */
  private readonly ofFile = new Map<string, Proven>();
  private readonly ofQuery = new Map<string, Map<string, Proven>>();

  constructor(users: ReadonlyMap<string, string>) {
    this.users = users;
  }

  /** @returns whether the secret is new or has changed */
  learn(proven: Proven): boolean {
    const known = this.placeOf(proven);
    const before = known.get(proven.user);
    if (before?.secret === proven.secret && (before.scramKeys !== undefined || proven.scramKeys === undefined)) {
      return false;
    }
    known.set(proven.user, proven);
    return true;
  }

  private placeOf({ database, isFromQuery }: Proven): Map<string, Proven> {
    if (!isFromQuery || database === undefined) return this.ofFile;
    let known = this.ofQuery.get(database);
    if (known === undefined) this.ofQuery.set(database, (known = new Map()));
    return known;
  }

  /** Drops the users of auth.query of a database that was removed. */
  forget(database: string): void {
    this.ofQuery.delete(database);
  }

  of(database: string, user: string): Credential {
    const secret = this.users.get(user);
    if (secret !== undefined) return { secret, scramKeys: this.ofFile.get(user)?.scramKeys };
    const proven = this.ofQuery.get(database)?.get(user);
    return { secret: proven?.secret, scramKeys: proven?.scramKeys };
  }
}
