/**
 * Client connections counted by user and database, against max_client_conn and the limits of each user and database. Used by the
 * process that lets clients in: app/reception.ts, or the supervisor of several workers (workers/seats.ts).
 */
/** Who comes in; a client of the admin console that may come in anyway is nobody's. */
export interface Guest {
  readonly user: string;
  readonly database: string;
}

/** Survives a structured clone. 0 = no limit. */
export interface ClientLimits {
  readonly maxClientConn: number;
  /** For users and databases that have no limit of their own. */
  readonly perUser: number;
  readonly perDatabase: number;
  readonly users: ReadonlyMap<string, number>;
  readonly databases: ReadonlyMap<string, number>;
}

/** Which limit is reached. False: max_client_conn. */
export type Entry = boolean | 'max_user_client_connections' | 'max_db_client_connections';

const add = (counts: Map<string, number>, key: string, by: number): void => {
  const count = (counts.get(key) ?? 0) + by;
  if (count > 0) counts.set(key, count);
  else counts.delete(key);
};

export class ClientCounts {
  taken = 0;
  private readonly users = new Map<string, number>();
  private readonly databases = new Map<string, number>();

  /** True: the client is in. */
  tryEnter(guest: Guest | undefined, limits: ClientLimits): Entry {
    if (this.taken >= limits.maxClientConn) return false;
    if (guest !== undefined) {
      const { user, database } = guest;
      const isFull = (count = 0, most: number): boolean => most > 0 && count >= most;
      const ofDatabase = limits.databases.get(database) ?? limits.perDatabase;
      if (isFull(this.databases.get(database), ofDatabase)) return 'max_db_client_connections';
      const ofUser = limits.users.get(user) ?? limits.perUser;
      if (isFull(this.users.get(user), ofUser)) return 'max_user_client_connections';
    }
    this.add(guest, 1);
    return true;
  }

  /** They are in, or leave. */
  add(guest: Guest | undefined, by: number): void {
    this.taken += by;
    if (guest === undefined) return;
    add(this.users, guest.user, by);
    add(this.databases, guest.database, by);
  }
}

/** max_client_conn and no other limit. */
export const onlyInAll = (maxClientConn: number): ClientLimits => ({
  maxClientConn,
  perUser: 0,
  perDatabase: 0,
  users: new Map(),
  databases: new Map(),
});

interface Limited {
  readonly maxClientConn: number;
  readonly maxUserClientConnections: number;
  readonly users: ReadonlyMap<string, { readonly maxUserClientConnections?: number }>;
  readonly databases: ReadonlyMap<string, { readonly pool: { readonly maxDbClientConnections: number } }>;
  readonly pool: { readonly maxDbClientConnections: number };
}

/** What a configuration says of them. */
export function clientLimitsOf({
  maxClientConn,
  maxUserClientConnections,
  users,
  databases,
  pool,
}: Limited): ClientLimits {
  const ofUsers = Array.from(users, ([name, { maxUserClientConnections: own }]) => [name, own] as const);
  return {
    maxClientConn,
    perUser: maxUserClientConnections,
    // Names that the configuration does not list are of the entry "*".
    perDatabase: (databases.get('*')?.pool ?? pool).maxDbClientConnections,
    users: new Map(ofUsers.flatMap(([name, own]) => (own === undefined ? [] : [[name, own] as const]))),
    databases: new Map(Array.from(databases, ([name, each]) => [name, each.pool.maxDbClientConnections])),
  };
}
