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

  learn(proven: Proven): void {
    const { user, database, isFromQuery } = proven;
    if (!isFromQuery || database === undefined) {
      if (proven.scramKeys !== undefined) this.ofFile.set(user, proven);
      return;
    }
    let known = this.ofQuery.get(database);
    if (known === undefined) this.ofQuery.set(database, (known = new Map()));
    known.set(user, proven);
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
