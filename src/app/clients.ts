/**
 * Registry of connected clients and console sessions, by the number that SHOW CLIENTS and CancelRequest use.
 */
import { randomBytes, randomInt, timingSafeEqual } from 'node:crypto';
import type { ConsoleCounts } from '../console/console.ts';
import type { ConsoleSession } from '../console/session.ts';
import type { LoggedInClient } from '../frontend/types.ts';
import type { ClientSession } from '../request/client.ts';
import type { ClientIdentity } from '../session/client-record.ts';
import type { ReplicationSession } from '../session/replication.ts';
import { numberOf, numbersOfPeer, withAllHops } from './peer-key.ts';

export interface Key {
  readonly id: number;
  readonly secret: Buffer;
}

/** Identity of a client whose session is about to begin. */
export function identityOf(client: LoggedInClient, { id, secret }: Key, connectedAtMs: number): ClientIdentity {
  const { user, remoteAddress, remotePort, hasTls } = client;
  return { id, user, remoteAddress, remotePort, hasTls, connectedAtMs, secret };
}

/** Protocol 3.0 has room for a secret of 4 bytes, 3.2 for up to 256. PostgreSQL sends 32 bytes, and so does Weir. */
const shortKeyBytes = 4;
const longKeyBytes = 32;
const longKeysSince = 2;

/**
 * Clients take their number for the process ID of a backend and may pass it to pg_terminate_backend(). Numbers are above
 * largestPid, which no process of Linux exceeds, and at most largestNumber, the largest that drivers can read.
 */
const largestPid = 2 ** 22;
const largestNumber = 2 ** 31 - 1;

/** As many numbers in a row are taken if nearly all are. */
const mostTries = 64;

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

/** Which numbers a process gives to its clients: every third from 2, say. The workers of one Weir share none. */
export interface Numbers {
  readonly every: number;
  readonly from: number;
}

export class Clients {
  /** peer_id; 0: numbers need not say of which Weir they are. */
  private readonly peerId: number;
  private lastOfPeer: number;
  private readonly seats = new Map<number, Seat>();
  /** What its consoles have counted. */
  readonly consoleCounts: ConsoleCounts = { logins: 0, queries: 0 };
  private lastId: number;
  private readonly numbers: Numbers;

  /** @param lastId random, so that Weir processes in front of the same servers begin with different numbers */
  constructor(lastId = randomInt(largestPid, largestNumber), numbers: Numbers = { every: 1, from: 0 }, peerId = 0) {
    this.peerId = peerId;
    this.lastOfPeer = lastId % numbersOfPeer;
    this.lastOfPeer += numbers.from - (this.lastOfPeer % numbers.every);
    this.lastId = lastId - (lastId % numbers.every) + numbers.from;
    this.numbers = numbers;
  }

  /** Makes the number and secret of a new client that speaks version 3.`minor` of the protocol. */
  register(minor: number): Key {
    const id = this.freeOfPeer() ?? this.nextNumber();
    const random = randomBytes(minor >= longKeysSince ? longKeyBytes : shortKeyBytes);
    const secret = this.peerId === 0 ? random : withAllHops(random);
    this.seats.set(id, { secret, session: undefined, replication: undefined, console: undefined });
    return { id, secret };
  }

  /** Server connections have numbers of the same row, as in PgBouncer: one for all sockets. */
  nextNumber(): number {
    do this.lastId = this.following();
    while (this.seats.has(this.lastId));
    return this.lastId;
  }

  /** Undefined: those that other Weirs would know as numbers of this one are taken, or nearly all of them. The client can be cancelled here only. */
  private freeOfPeer(): number | undefined {
    const { every, from } = this.numbers;
    for (let tries = this.peerId === 0 ? 0 : mostTries; tries > 0; tries--) {
      this.lastOfPeer += every;
      if (this.lastOfPeer >= numbersOfPeer) this.lastOfPeer = from;
      const id = numberOf(this.lastOfPeer, this.peerId);
      if (!this.seats.has(id)) return id;
    }
    return undefined;
  }

  private following(): number {
    const { every, from } = this.numbers;
    const next = this.lastId + every;
    if (next <= largestNumber && next > largestPid) return next;
    return largestPid - (largestPid % every) + every + from;
  }

  seat(id: number, who: Who): void {
    const seat = this.seats.get(id);
    if (seat === undefined) return;
    seat.session = who.session;
    seat.replication = who.replication;
    seat.console = who.console;
  }

  /**
   * A client with its number and secret comes from another process. @returns false: somebody has this number
   */
  admit({ id, secret }: Key): boolean {
    if (this.seats.has(id)) return false;
    this.seats.set(id, { secret, session: undefined, replication: undefined, console: undefined });
    return true;
  }

  /** A later client with the same number, which was given away and came back, stays. */
  leave({ id, secret }: Key): void {
    if (this.seats.get(id)?.secret === secret) this.seats.delete(id);
  }

  get count(): number {
    return this.seats.size;
  }

  /** Those that have a number and no session yet. */
  get arriving(): number {
    let arriving = 0;
    for (const { session, replication, console } of this.seats.values())
      if (session === undefined && replication === undefined && console === undefined) arriving++;
    return arriving;
  }

  get(id: number): ClientSession | ReplicationSession | undefined {
    const seat = this.seats.get(id);
    return seat?.session ?? seat?.replication;
  }

  /** As many as all(). */
  get connected(): number {
    let count = 0;
    for (const { session, replication } of this.seats.values()) if ((session ?? replication) !== undefined) count++;
    return count;
  }

  *sessions(): Iterable<ClientSession> {
    for (const seat of this.seats.values()) if (seat.session !== undefined) yield seat.session;
  }

  *replications(): Iterable<ReplicationSession> {
    for (const seat of this.seats.values()) if (seat.replication !== undefined) yield seat.replication;
  }

  /** Client sessions and replication sessions: all that use servers. */
  *all(): Iterable<ClientSession | ReplicationSession> {
    yield* this.sessions();
    yield* this.replications();
  }

  *consoles(): Iterable<ConsoleSession> {
    for (const seat of this.seats.values()) if (seat.console !== undefined) yield seat.console;
  }

  /** A request that peers have passed on says so in its secret. */
  private isSame(given: Uint8Array, secret: Uint8Array): boolean {
    return timingSafeEqual(given, secret) || (this.peerId > 0 && timingSafeEqual(withAllHops(given), secret));
  }

  /**
   * Handles a CancelRequest and calls `done` at its end.
   * @returns false: the key is unknown, and `done` is not called
   */
  cancel(id: number, secret: Uint8Array, done: () => void): boolean {
    const seat = this.seats.get(id);
    if (seat === undefined || secret.length !== seat.secret.length || !this.isSame(secret, seat.secret)) return false;
    const session = seat.session ?? seat.replication;
    if (session !== undefined) session.cancel(done);
    else {
      seat.console?.cancel();
      done();
    }
    return true;
  }
}
