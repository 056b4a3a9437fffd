/**
 * What Weir can log in to servers with in a client's name: secrets of auth.file, and what log-ins of clients have proven
 * or auth.query has said about users who then did log in. Filled by reception.ts, read by database.ts.
 */
import type { ScramKeys } from '../auth/scram.ts';
import type { Proven } from '../auth/types.ts';

export interface Credential {
  readonly secret: string | undefined;
  readonly scramKeys: ScramKeys | undefined;
}

export class Credentials {
  private readonly users: ReadonlyMap<string, string>;
  /** Of users in auth.file, who are the same for all databases, and of the others by database and user. */
  private readonly ofFile = new Map<string, Proven>();
  private readonly ofQuery = new Map<string, Map<string, Proven>>();

  constructor(users: ReadonlyMap<string, string>) {
    this.users = users;
  }

  /** Returns whether it is something new. */
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

  /** A database is gone, and what its servers said about users with it. */
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
