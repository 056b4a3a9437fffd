/**
 * What this room needs from the app, and what it passes to it: a client that has logged in. Types only.
 */
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { ReplicationKind } from '../auth/types.ts';
import type { AuthOptions } from '../auth/authenticator.ts';
import type { TlsSide } from '../config/config.ts';
import type { MemoryGate } from '../memory/types.ts';
import type { Suspension } from '../net/suspension.ts';
import type { WeirError } from '../errors/errors.ts';
import type { Entry, Guest } from '../util/client-counts.ts';
import type { ConnectionLog } from './connection-log.ts';
import type { ClientWords } from './pgbouncer-words.ts';
import type { Log } from '../observability/types.ts';
import type { Unsent } from './unsent.ts';
import type { TcpSettings } from './tcp-servers.ts';

/** Label `reason` of `auth_failures_total`. An unknown user counts as wrong-password. */
export type RefusalReason =
  | 'wrong-password'
  | 'no-certificate'
  | 'tls-required'
  | 'no-database'
  | 'protocol'
  | 'timeout'
  | 'too-many'
  | 'memory'
  | 'auth-query'
  | 'hba';

/**
 * A client that has logged in. The session sends it `unsent`, then ParameterStatus and all that follows.
 */
export interface LoggedInClient {
  /** Paused, with no listeners but one for 'error'. The owner attaches its own, processes `leftover` and resumes it. */
  readonly socket: Socket | TLSSocket;
  /** AuthenticationOk, and before it what else the log-in has not sent: is sent before anything else, or at the end of this turn. */
  readonly unsent: Unsent;
  /** Bytes that the client sent after its log-in. */
  readonly leftover: Buffer;
  readonly user: string;
  readonly database: string;
  /** The database is the admin console, and the user may use it. */
  readonly isConsole: boolean;
  /** The startup parameters, including `options`, without user, database, replication and `_pq_.` options. */
  readonly parameters: Map<string, string>;
  /** undefined: an ordinary connection. */
  readonly replication: ReplicationKind | undefined;
  /** The minor version of protocol 3 that the client speaks. */
  readonly protocolMinor: number;
  readonly hasTls: boolean;
  readonly remoteAddress: string;
  readonly remotePort: number;
}

/**
 * Takes a connection as it came in. False: it could not be taken.
 * @param unread what its client has sent and Weir has not taken
 */
export type GiveConnection = (layer: 'plain' | 'local', socket: Socket, unread: Buffer) => boolean;

/** Who is on the way in. */
export interface Arrivals {
  /** Connections that log in now, TLS handshakes included, or ask for a cancel. */
  readonly loggingIn: number;
  /** Of these, so many wait for their client to send something. */
  readonly waitingForClient: number;
  /** Gives away all of which nothing was taken yet. Their clients notice nothing. */
  giveFreshAway(give: GiveConnection): void;
}

export interface AcceptorOptions {
  readonly tls: TlsSide;
  readonly auth: AuthOptions;
  /** Called before authentication to recognize the console, and after it for the rest. */
  findDatabase(name: string, user: string): 'ok' | 'console' | 'unknown' | 'disabled';
  /** All names of the admin console. */
  readonly consoleNames: readonly string[];
  /** @param isLocal through the Unix socket */
  consoleUserAllowed(user: string, isLocal: boolean): boolean;
  /** Of those: the limits of users and databases do not concern them. */
  isConsoleAdmin(user: string): boolean;
  /** Comes in without a password through the Unix socket, because only the system user of Weir can reach that. Absent: nobody. */
  isOwnConsoleUser?(user: string): boolean;
  /** Counts a connection against the limits. @returns why it is refused. `address` undefined: a Unix socket */
  overLimit?(user: string, database: string, address: string | undefined): WeirError | undefined;
  /** max_client_conn, for the error message. */
  maxClientConn(): number;
  /** Is max_client_conn reached? */
  isFull(): boolean;
  /**
   * Counts a client under max_client_conn and the limits of its user and database, after authentication; anything but true: which
   * limit is reached. For each true, leave() is called once, when the socket closes or the log-in fails. A worker asks its
   * supervisor. `guest` undefined: an administrator on the console, who counts under max_client_conn only.
   */
  tryEnter(guest: Guest | undefined): Entry | Promise<Entry>;
  leave(guest: Guest | undefined): void;
  /**
   * client_login_timeout, from connection to authentication; starts again after a TLS handshake. Read at each reload.
   */
  loginTimeoutMs(): number;
  /** New clients wait there while memory is short, except for the console. Absent: never. */
  readonly memory?: MemoryGate | undefined;
  /** New clients wait there during SUSPEND, except for the console. Absent: never. */
  readonly suspension?: Pick<Suspension, 'isOn' | 'wait'> | undefined;
  /** max_client_logins: log-ins at the same time, which do not count under max_client_conn yet. */
  maxLogins(): number;
  onClient(client: LoggedInClient): void;
  /** Called for a CancelRequest. Its connection is closed when `done` is called, or after ten seconds. */
  onCancel(processId: number, secret: Buffer, done: () => void): void;
  onRefused(reason: RefusalReason): void;
  readonly log: Log;
  /** Absent: it is not asked for. */
  readonly connections?: ConnectionLog | undefined;
  /** What a client is told that is not let in. Absent: the error as it is. */
  wordsFor?(error: WeirError): ClientWords;
  /** New clients are refused with shutting_down, except for the console. */
  isDraining(): boolean;
}

/** Counts clients up to a limit. */
export interface ClientSlots {
  readonly isFull: () => boolean;
  readonly tryEnter: (guest: Guest | undefined) => Entry | Promise<Entry>;
  readonly leave: (guest: Guest | undefined) => void;
}

export interface ListenerOptions extends AcceptorOptions, TcpSettings {
  /** A Unix socket to listen on as well, with the port of `listen` in its name. */
  readonly unixSocket?: { readonly dir: string; readonly mode: number } | undefined;
}
