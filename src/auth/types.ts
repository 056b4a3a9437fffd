/**
 * What the frontend and the methods of authentication know of each other. Types only.
 */
import type { WeirError } from '../errors.ts';
import type { KeyDeriver } from './keys.ts';
import type { Secret } from './secrets.ts';
import type { ScramKeys } from './scram.ts';

/** What the startup parameter `replication` asks for: WAL of the whole server ("true"), or of one database ("database"). */
export type ReplicationKind = 'physical' | 'logical';

export interface ClientCertificate {
  /** undefined: none, or several. */
  readonly commonName: string | undefined;
  /** As RFC 2253 writes it: "CN=ann,O=Example". */
  readonly distinguishedName: string;
}

/** One client that wants to log in. Messages are those of the protocol; the method decides which. */
export interface Exchange {
  readonly user: string;
  /** As the client asked for it; undefined: the admin console, behind which there is no server to ask. */
  readonly database: string | undefined;
  /** All names that mean it: the admin console has two. */
  readonly databaseNames: readonly string[];
  /** undefined: an ordinary connection. */
  readonly replication: ReplicationKind | undefined;
  readonly hasTls: boolean;
  /** undefined: it came through a Unix socket. */
  readonly remoteAddress: string | undefined;
  /** The client's, if it has one that the configured authority vouches for. */
  readonly certificate: ClientCertificate | undefined;
  /** Hash of our certificate, for channel binding; undefined: no TLS, or a certificate that has none. */
  channelBinding(): Buffer | undefined;
  send(frame: Buffer): void;
  /** Body of the client's next 'p' message. Rejects with ProtocolError or ReadError. */
  receive(): Promise<Buffer>;
}

export type AuthOutcome =
  | { readonly isOk: true }
  /** `error` is for the client, `why` for the log: it may say more (that there is no such user, for one). */
  | { readonly isOk: false; readonly error: WeirError; readonly why: string };

/** A client that was let in, and what its log-in taught: good for logging in to servers in its name. */
export interface Proven {
  readonly user: string;
  readonly database: string | undefined;
  /** As it is stored. */
  readonly secret: string;
  /** It came from a server of the database (auth.query), not from auth.file. */
  readonly isFromQuery: boolean;
  /** The keys of that SCRAM verifier, for servers that store the same; undefined: it is none. */
  readonly scramKeys: ScramKeys | undefined;
}

/** What a method needs for one log-in. */
export interface AuthContext {
  /** undefined: no such user. Rejects with LookUpFailed. */
  secretOf(user: string): Promise<Secret | undefined>;
  /** What of a certificate is the name. */
  readonly clientName: 'CN' | 'DN';
  /** May the one whom a certificate calls `name` be this user? */
  isSameUser(name: string, user: string): boolean;
  /** Why there is none, for the log. */
  readonly noSuchUser: string;
  /** Kind of the latest secret that was found: what an unknown user is made to look like. */
  usualKind(): Secret['kind'];
  /** For secrets that exist, and for those that are only pretended. */
  readonly keys: KeyDeriver;
  readonly mockKeys: KeyDeriver;
  /** Of this process; salts and mock secrets are made from it, so they are the same at each try. */
  readonly processSecret: Buffer;
  /** The client proved by SCRAM that it has these keys of the stored verifier. */
  onScramKeys(keys: ScramKeys): void;
}

export type AuthMethod = (exchange: Exchange, context: AuthContext) => Promise<AuthOutcome>;
