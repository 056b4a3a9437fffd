/**
 * The end of Weir as PgBouncer's (shutdown_as: pgbouncer) in SHUTDOWN WAIT_FOR_SERVERS: clients keep the servers that they have, for
 * as long as they want, and nobody gets another one. Made by drain.ts.
 */
import { WeirError } from '../errors/errors.ts';
import type { ClientSession } from '../request/client.ts';
import type { ReplicationSession } from '../session/replication.ts';
import type { Clients } from './clients.ts';
import type { Directory } from './directory.ts';

/** Clients that wait for a server are looked for so often. */
const lookMs = 300;

export interface ReleaseParts {
  readonly clients: Pick<Clients, 'sessions' | 'all'>;
  readonly directory: Pick<Directory, 'all'>;
  readonly nowMs: () => number;
}

export class UntilReleased {
  private readonly parts: ReleaseParts;
  private lastLookMs: number;

  constructor(parts: ReleaseParts) {
    this.parts = parts;
    this.lastLookMs = parts.nowMs();
    for (const database of parts.directory.all()) database.pause();
  }

  /** Ends the clients that ask for a server and have none. */
  look(): void {
    const nowMs = this.parts.nowMs();
    if (nowMs - this.lastLookMs < lookMs) return;
    this.lastLookMs = nowMs;
    for (const session of this.parts.clients.sessions())
      if (waitsForServer(session) || isOnlyPinned(session)) session.terminate(new WeirError('shutting_down'));
  }

  /** Nobody has a server any more. */
  get isOver(): boolean {
    const { clients, directory } = this.parts;
    for (const database of directory.all())
      for (const pool of database.pools()) if (pool.servers().size > 0) return false;
    for (const client of clients.all()) if (isReplication(client)) return false;
    return true;
  }
}

const waitsForServer = (session: ClientSession): boolean => session.server === undefined && session.isWaiting;

/** PgBouncer has no pins: there, a client between two transactions has no server. */
const isOnlyPinned = (session: ClientSession): boolean =>
  session.server !== undefined && session.isIdle && session.poolMode !== 'session';

const isReplication = (client: ClientSession | ReplicationSession): boolean => !('poolMode' in client);
