/**
 * The interface between frontend/login.ts and the authentication methods. Types only.
 */
import type { WeirError } from '../errors/errors.ts';
import type { KeyDeriver } from './keys.ts';
import type { Secret } from './secrets.ts';
import type { ScramKeys } from './scram.ts';

/** The startup parameter `replication`: physical for "true", logical for "database". */
export type ReplicationKind = 'physical' | 'logical';

export interface ClientCertificate {
  /** undefined: the certificate has none, or several. */
  readonly commonName: string | undefined;
  /** In the format of RFC 2253: "CN=ann,O=Example". */
  readonly distinguishedName: string;
}

/** A client that is logging in, and the exchange of messages with it. */
export interface Exchange {
  readonly user: string;
  /** As the client named it; undefined: the admin console, for which auth.query cannot run. */
  readonly database: string | undefined;
  /** All names of the database: the admin console has two. */
  readonly databaseNames: readonly string[];
  /** undefined: an ordinary connection. */
  readonly replication: ReplicationKind | undefined;
  readonly hasTls: boolean;
  /** undefined: a Unix socket. */
  readonly remoteAddress: string | undefined;
  /** The client's certificate, if it has one that is signed by tls.client.ca. */
  readonly certificate: ClientCertificate | undefined;
  /** Hash of Weir's certificate, for channel binding; undefined: no TLS, or RFC 5929 defines no hash for it. */
  channelBinding(): Buffer | undefined;
  send(frame: Buffer): void;
  /** Resolves to the body of the client's next 'p' message. Rejects with ProtocolError or ReadError. */
  receive(): Promise<Buffer>;
}

export type AuthOutcome =
  | { readonly isOk: true }
  /** `error` is for the client. `why` is for the log, and may tell more, such as that there is no such user. */
  | { readonly isOk: false; readonly error: WeirError; readonly why: string };

/** A client that has logged in, with what Weir needs to log in to servers as the same user. */
export interface Proven {
  readonly user: string;
  readonly database: string | undefined;
  /** The stored secret, as text. */
  readonly secret: string;
  /** The secret came from auth.query, not from auth.file. */
  readonly isFromQuery: boolean;
  /** If the secret is a SCRAM verifier: its keys, for servers that have the same verifier. */
  readonly scramKeys: ScramKeys | undefined;
}

/** What a method needs for one log-in. */
export interface AuthContext {
  /** Resolves to undefined if there is no such user. Rejects with LookUpFailed. */
  secretOf(user: string): Promise<Secret | undefined>;
  /** Whoever needs no password must be known all the same. */
  readonly mustBeKnown: boolean;
  /** Resolves to whether there is such a user, with a password or without. Rejects with LookUpFailed. */
  isKnown(): Promise<boolean>;
  /** Which part of the certificate is the name. */
  readonly clientName: 'CN' | 'DN';
  /** May a certificate with this name log in as `user`? */
  isSameUser(name: string, user: string): boolean;
  /** Why secretOf() found no user, for the log. */
  readonly noSuchUser: string;
  /** The kind of the last secret that was found; an unknown user is treated as if it had one of this kind. */
  usualKind(): Secret['kind'];
  /** Derives keys of stored secrets; mockKeys those of made-up secrets. */
  readonly keys: KeyDeriver;
  readonly mockKeys: KeyDeriver;
  /** Random, per process. Salts and made-up secrets are derived from it, so that they are the same in each log-in. */
  readonly processSecret: Buffer;
  /** Called when the client has proven that it has these keys of the stored SCRAM verifier. */
  onScramKeys(keys: ScramKeys): void;
}

export type AuthMethod = (exchange: Exchange, context: AuthContext) => Promise<AuthOutcome>;
