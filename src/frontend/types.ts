/**
 * What the clients' door needs from the app, and what it hands over. Types only.
 */
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { ReplicationKind } from '../auth/types.ts';
import type { AuthOptions } from '../auth/authenticator.ts';
import type { HostPort, TlsSide } from '../config/config.ts';
import type { Log } from '../observability/types.ts';

/** Label of `auth_failures_total`. An unknown user counts as wrong-password. */
export type RefusalReason =
  | 'wrong-password'
  | 'no-certificate'
  | 'tls-required'
  | 'no-database'
  | 'protocol'
  | 'timeout'
  | 'too-many'
  | 'auth-query'
  | 'hba';

/** A client that proved who it is and was told AuthenticationOk; ParameterStatus and what follows is its session's. */
export interface LoggedInClient {
  /** Paused, without listeners of the log-in (but one against unhandled errors): attach, handle `leftover`, resume. */
  readonly socket: Socket | TLSSocket;
  /** Bytes that the client sent ahead. */
  readonly leftover: Buffer;
  readonly user: string;
  readonly database: string;
  /** The database is the admin console, and the user may use it. */
  readonly isConsole: boolean;
  /** Startup parameters as they came (`options` too), without user, database, replication and `_pq_.` options. */
  readonly parameters: Map<string, string>;
  /** undefined: an ordinary connection. */
  readonly replication: ReplicationKind | undefined;
  /** It speaks version 3.x of the protocol. */
  readonly protocolMinor: number;
  readonly hasTls: boolean;
  readonly remoteAddress: string;
  readonly remotePort: number;
}

export interface DoorOptions {
  readonly tls: TlsSide;
  readonly auth: AuthOptions;
  /** Asked after authentication has succeeded ("unknown" is said to nobody else), and before for 'console'. */
  findDatabase(name: string, user: string): 'ok' | 'console' | 'unknown' | 'disabled';
  /** All names of the admin console. */
  readonly consoleNames: readonly string[];
  consoleUserAllowed(user: string): boolean;
  /** max_client_conn, for the words of the refusal. */
  maxClientConn(): number;
  /** Is max_client_conn reached? */
  isFull(): boolean;
  /** Takes a place under max_client_conn behind authentication; `leave` gives it back when that socket closes, exactly once. */
  tryEnter(): boolean;
  leave(): void;
  /** client_login_timeout, for everything up to authentication; a TLS handshake begins a new period. A reload asks again. */
  loginTimeoutMs(): number;
  /** max_client_logins: log-ins under way at the same time, before they count under max_client_conn. */
  maxLogins(): number;
  onClient(client: LoggedInClient): void;
  /** A CancelRequest; its connection is closed when `done` is called, or after ten seconds. */
  onCancel(processId: number, secret: Buffer, done: () => void): void;
  onRefused(reason: RefusalReason): void;
  readonly log: Log;
  /** New clients (but those of the console) are refused with shutting_down. */
  isDraining(): boolean;
}

export interface ListenerOptions extends DoorOptions {
  readonly listen: HostPort;
  /** Also on a Unix socket with the port of `listen` in its name. */
  readonly unixSocket?: { readonly dir: string; readonly mode: number } | undefined;
}
