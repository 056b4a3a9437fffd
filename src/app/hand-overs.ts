/**
 * Clients that go to another process of this Weir, or come from one, with their socket and their whole session: between two
 * requests, so that they notice nothing. What carries them is not its business. Made by parts.ts; part of App.
 */
import type { Socket } from 'node:net';
import type { ScramKeys } from '../auth/scram.ts';
import type { Config } from '../config/config.ts';
import type { ConsoleSession } from '../console/session.ts';
import { WeirError } from '../errors/errors.ts';
import type { Listener } from '../frontend/listener.ts';
import type { GiveConnection } from '../frontend/types.ts';
import { canGiveAway } from '../net/give-away.ts';
import { ignoreError } from '../net/message-reader.ts';
import { errorResponse } from '../protocol/write.ts';
import { ClientSession } from '../request/client.ts';
import { HandOver } from '../request/hand-over.ts';
import type { Services } from '../session/context.ts';
import { packedVersion, unpackSession, type PackedSession, type Unpacked } from '../session/packed.ts';
import type { ReplicationSession } from '../session/replication.ts';
import { Fields, ShapeError } from '../util/fields.ts';
import type { Clients } from './clients.ts';
import type { Credential, Credentials } from './credentials.ts';
import type { DatabaseRuntime } from './database.ts';
import type { Directory } from './directory.ts';
import type { Reception } from './reception.ts';
import { countInUsage, leaveAtClose } from './while-open.ts';

/** What travels beside the socket. Survives a structured clone; the other end must take it for `unknown`. */
export interface PackedClient {
  readonly session: PackedSession;
  /** What Weir logs in to servers with as this user, if the user's log-in has proven it. */
  readonly login?: { readonly secret: string; readonly keys?: ScramKeys };
}

export interface LeavingClient {
  /** Resolves to undefined if the client has left, or cancel() was called. */
  readonly done: Promise<{ readonly socket: Socket; readonly packed: PackedClient } | undefined>;
  /** What it waits for, as text; undefined: nothing. */
  readonly waitsFor: string | undefined;
  /** The client stays. */
  cancel(): void;
}

export interface HandOverParts {
  config(): Config;
  readonly clients: Clients;
  readonly directory: Directory;
  readonly services: Services;
  readonly users: ReadonlyMap<string, string>;
  readonly credentials: Credentials;
  readonly reception: Pick<Reception, 'takePlace' | 'left'>;
  readonly listener: Pick<Listener, 'arrivals'>;
}

export class HandOvers {
  /** The newest version of PackedSession that this code reads and the one that it writes. */
  readonly version = packedVersion;
  private readonly parts: HandOverParts;
  /** Most clients have the same; then they share one map. */
  private lastReported: ReadonlyMap<string, string> = new Map();

  constructor(parts: HandOverParts) {
    this.parts = parts;
  }

  /** The numbers of all clients that can be handed over. */
  clients(): number[] {
    return [...this.parts.clients.sessions()]
      .filter((each) => whyNot(each) === undefined)
      .map((each) => each.identity.id);
  }

  /** Clients that cannot be handed over at all. */
  *staying(): Iterable<ClientSession | ReplicationSession> {
    const { clients } = this.parts;
    for (const session of clients.sessions()) if (!canMove(session)) yield session;
    yield* clients.replications();
  }

  /** Clients that could be handed over if they gave back their server: pinned ones, and those of session pools. */
  *keeping(): Iterable<ClientSession> {
    for (const session of this.parts.clients.sessions()) if (canMove(session) && session.keepsServer) yield session;
  }

  /** Sessions of the admin console cannot be handed over either. */
  consoles(): Iterable<ConsoleSession> {
    return this.parts.clients.consoles();
  }

  /** How many may become such clients: they log in, or have come from another process just now. */
  get arriving(): number {
    return this.parts.listener.arrivals.loggingIn + this.parts.clients.arriving;
  }

  /** Of these, so many are in the middle of a log-in that goes on when their client sends something. */
  get waitingForClient(): number {
    return this.parts.listener.arrivals.waitingForClient;
  }

  /** Gives away all connections of which nothing was taken yet, as they are. */
  giveFreshAway(give: GiveConnection): void {
    this.parts.listener.arrivals.giveFreshAway(give);
  }

  /**
   * The client leaves as soon as it is at rest; until then it is served.
   * @returns a text: why this client cannot be handed over at all
   */
  begin(id: number): LeavingClient | string {
    const session = this.parts.clients.get(id);
    if (!(session instanceof ClientSession)) return 'it is no client with a session';
    const why = whyNot(session);
    if (why !== undefined) return why;
    const handOver = (session.handOver = new HandOver(session));
    const login = this.loginOf(session);
    return {
      done: handOver.done.then((given) => {
        if (given === undefined) return undefined;
        return { socket: given.socket, packed: { session: given.packed, ...(login !== undefined && { login }) } };
      }),
      get waitsFor(): string | undefined {
        return handOver.waitsFor;
      },
      cancel: () => handOver.cancel(),
    };
  }

  private loginOf({ database, user }: ClientSession): PackedClient['login'] {
    const { secret, scramKeys }: Credential = this.parts.credentials.of(database.name, user);
    if (secret === undefined) return undefined;
    return { secret, ...(scramKeys !== undefined && { keys: scramKeys }) };
  }

  /**
   * Goes on with a client that begin() gave away, here or in another process. A client that cannot go on is told so and its
   * connection is closed. Resolves when its session is made.
   * @throws ShapeError for another version; WeirError if its database is gone
   */
  async receive(packed: unknown, socket: Socket): Promise<void> {
    socket.on('error', ignoreError);
    socket.pause();
    try {
      const fields = new Fields('the packed client', packed, ['session', 'login']);
      const unpacked = unpackSession(fields.value('session'));
      if (fields.has('login')) this.learn(unpacked, new Fields('the login', fields.value('login'), ['secret', 'keys']));
      await this.seat(unpacked, socket);
    } catch (error) {
      turnAway(socket, error);
      throw error;
    }
  }

  private async seat(unpacked: Unpacked, socket: Socket): Promise<void> {
    const { clients, directory, services, reception } = this.parts;
    const { id, secret, user, database: name } = unpacked.client;
    const database = directory.find(name);
    if (database === undefined) throw new WeirError('no_such_database', { database: name });
    const key = { id, secret };
    if (!clients.admit(key)) throw new Error(`there is a client ${id} already`);
    reception.takePlace(socket, { user, database: name });
    leaveAtClose(socket, clients, key);
    countInUsage(socket, database);
    await database.use();
    if (socket.destroyed) return;
    const session = this.makeSession(unpacked, database, socket);
    clients.seat(id, { session });
    session.wire.start(unpacked.unread);
    services.log('debug', 'client_taken_over', 'a client goes on in this process', { client: id });
  }

  private makeSession(unpacked: Unpacked, database: DatabaseRuntime, socket: Socket): ClientSession {
    const { services, reception } = this.parts;
    const { client, state, startPreferences, concerns } = unpacked;
    const { id, secret, user, remoteAddress, remotePort } = client;
    const epochMs = Date.now() - services.nowMs();
    const key = { id, secret };
    if (isSame(state.reported, this.lastReported)) state.reported = this.lastReported;
    else this.lastReported = state.reported;
    const session = new ClientSession(
      socket,
      { ...key, user, remoteAddress, remotePort, hasTls: false, connectedAtMs: client.connectedAtMs - epochMs },
      database,
      services,
      state,
      startPreferences,
      (closed) => reception.left(closed, database, key),
    );
    session.moments.unpack(concerns);
    session.wasActive(client.activeAtMs - epochMs);
    session.arrivedWith(client.lastRoute);
    return session;
  }

  /** The servers may know the user only by what the log-in has proven. */
  private learn({ client: { user, database } }: Unpacked, login: Fields): void {
    const { users, credentials, directory, config } = this.parts;
    const secret = login.text('secret');
    const scramKeys = login.has('keys') ? scramKeysIn(login.value('keys')) : undefined;
    const ofFile = users.get(user);
    // The configuration of this process decides, if it has another secret, or none where there should be one.
    const isFromQuery = ofFile === undefined;
    if (isFromQuery ? config().auth.query === undefined : ofFile !== secret) return;
    const known = credentials.of(database, user);
    if (isFromQuery && known.secret !== undefined && known.secret !== secret) return;
    if (!isFromQuery && scramKeys === undefined) return;
    if (credentials.learn({ user, database, secret, isFromQuery, scramKeys })) directory.credentialsChanged(user);
  }
}

function isSame(one: ReadonlyMap<string, string>, other: ReadonlyMap<string, string>): boolean {
  return one.size === other.size && [...one].every(([name, value]) => other.get(name) === value);
}

function canMove({ identity, wire }: ClientSession): boolean {
  return !identity.hasTls && canGiveAway(wire.socket);
}

function whyNot(session: ClientSession): string | undefined {
  if (!canMove(session)) return 'a TLS connection cannot change its process';
  return session.handOver === undefined ? undefined : 'it is being handed over already';
}

function scramKeysIn(value: unknown): ScramKeys {
  const fields = new Fields('the keys', value, ['clientKey', 'storedKey', 'serverKey']);
  return {
    clientKey: fields.bytes('clientKey'),
    storedKey: fields.bytes('storedKey'),
    serverKey: fields.bytes('serverKey'),
  };
}

/** As at the end of Weir: the client connects again. */
function turnAway(socket: Socket, error: unknown): void {
  const said = error instanceof WeirError ? error : new WeirError('shutting_down');
  const detail = error instanceof ShapeError ? error.message : said.detail;
  const { sqlstate, message, hint } = said;
  socket.end(errorResponse({ severity: 'FATAL', sqlstate, message, detail, hint }));
  socket.resume();
}
