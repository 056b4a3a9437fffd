/**
 * Who is connected: clients and console sessions by the number that SHOW CLIENTS and CancelRequest use.
 */
import { randomBytes, randomInt, timingSafeEqual } from 'node:crypto';
import type { ConsoleSession } from '../console/session.ts';
import type { LoggedInClient } from '../frontend/types.ts';
import type { ClientSession } from '../request/client.ts';
import type { ClientIdentity } from '../session/client-record.ts';
import type { ReplicationSession } from '../session/replication.ts';

export interface Key {
  readonly id: number;
  readonly secret: Buffer;
}

/** Whose session is about to begin. */
export function identityOf(client: LoggedInClient, { id, secret }: Key, connectedAtMs: number): ClientIdentity {
  const { user, remoteAddress, remotePort, hasTls } = client;
  return { id, user, remoteAddress, remotePort, hasTls, connectedAtMs, secret };
}

/** Protocol 3.0 has room for four bytes; from 3.2 on clients take up to 256, of which PostgreSQL uses as many as Weir. */
const shortKeyBytes = 4;
const longKeyBytes = 32;
const longKeysSince = 2;

/**
 * Clients take their number for the pid of a server, and pass it to pg_terminate_backend(). Linux gives no process one
 * above the first, and drivers read none above the last.
 */
const largestPid = 2 ** 22;
const largestNumber = 2 ** 31 - 1;

interface Who {
  readonly session?: ClientSession;
  readonly replication?: ReplicationSession;
  readonly console?: ConsoleSession;
}

interface Seat {
  readonly secret: Buffer;
  session: ClientSession | undefined;
  replication: ReplicationSession | undefined;
  console: ConsoleSession | undefined;
}

export class Clients {
  private readonly seats = new Map<number, Seat>();
  private lastId: number;

  /** Several Weirs before the same servers do not begin with the same. */
  constructor(lastId = randomInt(largestPid, largestNumber)) {
    this.lastId = lastId;
  }

  /** A number and a secret for somebody who is about to be welcomed, and speaks version 3.`minor` of the protocol. */
  register(minor: number): Key {
    do this.lastId = this.lastId >= largestNumber ? largestPid + 1 : this.lastId + 1;
    while (this.seats.has(this.lastId));
    const secret = randomBytes(minor >= longKeysSince ? longKeyBytes : shortKeyBytes);
    this.seats.set(this.lastId, { secret, session: undefined, replication: undefined, console: undefined });
    return { id: this.lastId, secret };
  }

  seat(id: number, who: Who): void {
    const seat = this.seats.get(id);
    if (seat === undefined) return;
    seat.session = who.session;
    seat.replication = who.replication;
    seat.console = who.console;
  }

  leave(id: number): void {
    this.seats.delete(id);
  }

  get count(): number {
    return this.seats.size;
  }

  get(id: number): ClientSession | ReplicationSession | undefined {
    const seat = this.seats.get(id);
    return seat?.session ?? seat?.replication;
  }

  *sessions(): Iterable<ClientSession> {
    for (const seat of this.seats.values()) if (seat.session !== undefined) yield seat.session;
  }

  *replications(): Iterable<ReplicationSession> {
    for (const seat of this.seats.values()) if (seat.replication !== undefined) yield seat.replication;
  }

  /** Sessions of either kind: whoever talks to a server. */
  *all(): Iterable<ClientSession | ReplicationSession> {
    yield* this.sessions();
    yield* this.replications();
  }

  *consoles(): Iterable<ConsoleSession> {
    for (const seat of this.seats.values()) if (seat.console !== undefined) yield seat.console;
  }

  /** CancelRequest: `done` when it has been dealt with; an unknown key is nobody's business. */
  cancel(id: number, secret: Buffer, done: () => void): void {
    const seat = this.seats.get(id);
    if (seat === undefined || secret.length !== seat.secret.length || !timingSafeEqual(secret, seat.secret))
      return done();
    const session = seat.session ?? seat.replication;
    if (session !== undefined) return session.cancel(done);
    seat.console?.cancel();
    done();
  }
}
