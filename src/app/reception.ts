/**
 * Makes a session, or a console session, for each client that has logged in. Also tells the listener who may log in, to
 * which database, and how many clients at once.
 */
import type { Socket } from 'node:net';
import type { AuthOptions } from '../auth/authenticator.ts';
import type { Config } from '../config/config.ts';
import { consoleNames } from '../config/console-names.ts';
import { serveConsole } from '../console/session.ts';
import type { Console } from '../console/console.ts';
import { WeirError } from '../errors/errors.ts';
import type { ConnectionLog } from '../frontend/connection-log.ts';
import { localAddress } from '../frontend/logins.ts';
import { inPgbouncerWords, type ClientWords } from '../frontend/pgbouncer-words.ts';
import type { ListenerOptions, LoggedInClient } from '../frontend/listener.ts';
import { limitRepeats } from '../observability/bounded-log.ts';
import type { MemoryGate } from '../memory/types.ts';
import type { Metrics } from '../observability/metrics.ts';
import type { Log } from '../observability/types.ts';
import { errorResponse, noticeResponse } from '../protocol/write.ts';
import { ClientSession } from '../request/client.ts';
import type { Services } from '../session/context.ts';
import { dropIgnored } from '../session/ignored-parameters.ts';
import { SessionState } from '../session/state.ts';
import { greeting } from '../session/welcome.ts';
import { ClientCounts, clientLimitsOf, type ClientLimits, type Guest } from '../util/client-counts.ts';
import { accessOf, consoleRoleOf, isOwnConsoleUser, roleOnConsole } from './access.ts';
import type { AuthQuery } from './auth-query.ts';
import { identityOf, type Clients, type Key } from './clients.ts';
import type { Credentials } from './credentials.ts';
import type { DatabaseRuntime } from './database.ts';
import type { Directory } from './directory.ts';
import type { CancelKey } from '../workers/messages.ts';
import type { WorkerLink } from '../workers/worker-link.ts';
import type { Limits } from './limits.ts';
import { Peers } from './peers.ts';
import { RefusedByServer, openReplication } from './replication.ts';
import { countInUsage, leaveAtClose } from './while-open.ts';

export interface ReceptionParts {
  config(): Config;
  readonly directory: Directory;
  readonly clients: Clients;
  readonly services: Services & { readonly connections?: ConnectionLog | undefined };
  readonly console: Console;
  readonly log: Log;
  readonly users: ReadonlyMap<string, string>;
  readonly credentials: Credentials;
  readonly authQuery: AuthQuery;
  nextServerId(): number;
  readonly metrics: Pick<Metrics, 'authFailed' | 'peerCancelled'>;
  readonly memory: MemoryGate;
  readonly limits: Limits;
  /** Undefined: this process is the whole Weir. */
  readonly worker: WorkerLink | undefined;
}

/** Of this process. The setting is for all workers together, and clients are spread evenly over them. */
function maxLogins({ maxClientLogins, maxClientConn, workers }: Config): number {
  return maxClientLogins === 0 ? maxClientConn : Math.max(1, Math.floor(maxClientLogins / workers));
}

/** For all databases, or for one. */
function hasAuthQuery({ auth, databases }: Config): boolean {
  return auth.query !== undefined || [...databases.values()].some((each) => each.auth?.query !== undefined);
}

export class Reception {
  isDraining = false;
  private readonly parts: ReceptionParts;
  private readonly counts = new ClientCounts();
  private readonly peers: Peers;
  /** Of the configuration that they were read from. */
  private limits: { readonly config: Config; readonly of: ClientLimits } | undefined;

  constructor(parts: ReceptionParts) {
    this.parts = parts;
    this.peers = new Peers({
      config: parts.config,
      log: limitRepeats(parts.log, parts.services.nowMs),
      count: (outcome) => parts.metrics.peerCancelled(outcome),
    });
  }

  /** @throws Error that names file and line if auth.hba_file cannot be used */
  authOptions(config: Config): AuthOptions {
    const { users, credentials, authQuery, directory, worker } = this.parts;
    const { auth } = config;
    return {
      type: auth.type,
      access: accessOf(config),
      users: (name) => users.get(name),
      isPgbouncer: auth.as === 'pgbouncer',
      asks: (database) => authQuery.asks(database),
      lookUp: !hasAuthQuery(config) ? undefined : (user, database) => authQuery.lookUp(user, database),
      lookUpForConsole: (user) => this.lookUpForConsole(user),
      onProven: (proven) => {
        // Of the console: no server is logged in to by it.
        if (proven.database === undefined && proven.isFromQuery) return;
        if (!credentials.learn(proven)) return;
        directory.credentialsChanged(proven.user);
        worker?.channel.tell('proven', proven);
      },
    };
  }

  /**
   * As in PgBouncer, where auth_dbname says which server knows them; but not administrators: who can create a role there must not
   * become the operator of Weir.
   */
  private async lookUpForConsole(user: string): Promise<string | undefined> {
    const { authQuery, config } = this.parts;
    const { as, dbname } = config().auth;
    if (as !== 'pgbouncer' || dbname === undefined || consoleRoleOf(user, config()) !== 'stats') return undefined;
    return authQuery.lookUp(user, dbname);
  }

  listenerOptions(): ListenerOptions {
    this.parts.worker?.onCancel((key) => this.cancelHere(key));
    const { parts } = this;
    const config = parts.config();
    return {
      listen: config.listen,
      addresses: config.listenAddresses,
      isShared: config.soReuseport,
      unixSocket:
        config.unixSocketDir === undefined ? undefined : { dir: config.unixSocketDir, mode: config.unixSocketMode },
      tls: config.tls.client,
      auth: this.authOptions(config),
      findDatabase: (name) => (consoleNames.includes(name) ? 'console' : parts.directory.admits(name)),
      consoleNames,
      consoleUserAllowed: (user, isLocal) =>
        consoleRoleOf(user, parts.config()) !== undefined || (isLocal && isOwnConsoleUser(user, parts.config())),
      isConsoleAdmin: (user) => roleOnConsole(user, parts.config()) === 'admin',
      isOwnConsoleUser: (user) => isOwnConsoleUser(user, parts.config()),
      overLimit: (user, database, address) => parts.limits.active?.connect({ user, database, address }),
      maxClientConn: () => parts.config().maxClientConn,
      loginTimeoutMs: () => parts.config().clientLoginTimeoutMs,
      maxLogins: () => maxLogins(parts.config()),
      memory: parts.memory,
      suspension: parts.services.turn.suspension,
      // The workers of one Weir have their limits together: only their supervisor knows.
      isFull: () => parts.worker === undefined && this.counts.taken >= parts.config().maxClientConn,
      tryEnter: (guest) => parts.worker?.tryEnter(guest) ?? this.counts.tryEnter(guest, this.clientLimits),
      leave: this.leave,
      onClient: (client) => this.receive(client),
      onCancel: (processId, secret, done) => this.cancel(processId, secret, done),
      onRefused: (reason) => parts.metrics.authFailed(reason),
      // Repeated wrong passwords must not flood the log.
      connections: parts.services.connections,
      wordsFor: (error) => this.wordsFor(error),
      log: limitRepeats(parts.log, parts.services.nowMs),
      isDraining: () => this.isDraining,
    };
  }

  private get clientLimits(): ClientLimits {
    const config = this.parts.config();
    if (this.limits?.config !== config) this.limits = { config, of: clientLimitsOf(config) };
    return this.limits.of;
  }

  private readonly leave = (guest: Guest | undefined): void => {
    const { worker } = this.parts;
    if (worker === undefined) this.counts.add(guest, -1);
    else worker.leave(guest);
  };

  /** A key that is not of this process may be of another worker. An unknown one is ignored, as in PostgreSQL. */
  private cancel(id: number, secret: Buffer, done: () => void): void {
    const { clients, worker } = this.parts;
    if (clients.cancel(id, secret, done)) return;
    if (worker === undefined) this.passOn(id, secret, done);
    else
      void worker.cancelElsewhere({ id, secret }).then((isFound) => (isFound ? done() : this.passOn(id, secret, done)));
  }

  private passOn(id: number, secret: Buffer, done: () => void): void {
    void this.peers.passOn(id, secret).then(done);
  }

  /** Another worker was asked first. True: the client is here, and its statement was cancelled. */
  private cancelHere({ id, secret }: CancelKey): Promise<boolean> {
    return new Promise((resolve) => {
      if (!this.parts.clients.cancel(id, secret, () => resolve(true))) resolve(false);
    });
  }

  /** Counts a client that comes from another process, where it was let in. It leaves when the socket closes. */
  takePlace(socket: Socket, guest: Guest): void {
    const { worker } = this.parts;
    if (worker === undefined) this.counts.add(guest, 1);
    else worker.arrived(guest);
    socket.on('close', () => this.leave(guest));
  }

  private receive(client: LoggedInClient): void {
    const key = this.parts.clients.register(client.protocolMinor);
    leaveAtClose(client.socket, this.parts.clients, key);
    if (client.isConsole) return this.serveConsole(client, key);
    this.serve(client, key).catch((error: unknown) => this.turnAway(client, error));
  }

  private async serve(client: LoggedInClient, key: Key): Promise<void> {
    dropIgnored(client.parameters, this.parts.config().ignoreStartupParameters);
    const { replication } = client;
    if (replication === undefined) await this.welcome(client, key);
    else await openReplication(client, replication, key, this.parts);
  }

  private serveConsole(client: LoggedInClient, key: Key): void {
    const { clients, console, log } = this.parts;
    const cancelKey = { processId: key.id, secret: key.secret };
    client.unsent.send();
    clients.seat(key.id, { console: serveConsole(client, console, { log, cancelKey }) });
  }

  private async welcome(client: LoggedInClient, key: Key): Promise<void> {
    const { directory, clients, services } = this.parts;
    const database = directory.find(client.database);
    if (database === undefined) throw new WeirError('no_such_database', { database: client.database });
    countInUsage(client.socket, database);
    // Logs in first, so that the catalog is not requested for a database that the server does not have.
    const isProven = database.isProven || (await database.welcome.isKnownElsewhere(client.user));
    const first = isProven ? undefined : await database.welcome.receive(client.user, client.parameters);
    await database.use();
    const { settings, preferences, reported, statuses, notices } = await database.welcome.receive(
      client.user,
      client.parameters,
    );
    if (client.socket.destroyed) return;
    const session = new ClientSession(
      client.socket,
      identityOf(client, key, services.nowMs()),
      database,
      services,
      new SessionState(settings, reported),
      preferences,
      (closed) => this.left(closed, database, key),
    );
    clients.seat(key.id, { session });
    database.stats.logins++;
    session.say(client.unsent.take());
    session.say(greeting(statuses, key.id, key.secret, [...this.loginNotice(), ...(first?.notices ?? []), ...notices]));
    session.wire.start(client.leftover);
  }

  /** login_notify_message. */
  private loginNotice(): Buffer[] {
    const { loginNotifyMessage: message } = this.parts.config();
    return message === undefined ? [] : [noticeResponse({ severity: 'NOTICE', sqlstate: '00000', message })];
  }

  /** The session has ended. */
  left(session: ClientSession, database: DatabaseRuntime, key: Key): void {
    database.stats.receivedBytes += session.wire.receivedBytes;
    database.stats.sentBytes += session.wire.sentBytes;
    this.parts.clients.leave(key);
  }

  /** Sends the error for which a logged-in client gets no session, and closes its connection. */
  private turnAway(client: LoggedInClient, error: unknown): void {
    if (error instanceof RefusedByServer) return this.endWith(client, error.error);
    const isKnown = error instanceof WeirError;
    if (!isKnown) this.parts.services.unexpected(error instanceof Error ? error : new Error(String(error)));
    const said = isKnown ? error : new WeirError('internal_error', { what: String(error) });
    const { user, database, hasTls, remoteAddress } = client;
    const isLocal = remoteAddress === localAddress;
    this.parts.services.connections?.refused(client.socket, said, { user, database, hasTls, isLocal });
    this.endWith(client, this.wordsFor(said));
  }

  /** What a client is told that is not let in. */
  private wordsFor(error: WeirError): ClientWords {
    return this.parts.config().auth.as === 'pgbouncer' ? inPgbouncerWords(error) : error;
  }

  private endWith(client: LoggedInClient, said: ClientWords): void {
    const { sqlstate, message, detail, hint } = said;
    client.unsent.send();
    client.socket.end(errorResponse({ severity: 'FATAL', sqlstate, message, detail, hint }));
    client.socket.resume();
  }
}
