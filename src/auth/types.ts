/**
 * What the frontend and the methods of authentication know of each other. Types only.
 */
import type { WeirError } from '../errors.ts';
import type { KeyDeriver } from './keys.ts';
import type { Secret } from './secrets.ts';
import type { ScramKeys } from './scram.ts';

/** One client that wants to log in. Messages are those of the protocol; the method decides which. */
export interface Exchange {
  readonly user: string;
  readonly hasTls: boolean;
  /** Common name of the client's certificate, if it has one that the configured authority vouches for. */
  readonly certificateName: string | undefined;
  send(frame: Buffer): void;
  /** Body of the client's next 'p' message. Rejects with ProtocolError or ReadError. */
  receive(): Promise<Buffer>;
}

export type AuthOutcome =
  | { readonly isOk: true }
  /** `error` is for the client, `why` for the log: it may say more (that there is no such user, for one). */
  | { readonly isOk: false; readonly error: WeirError; readonly why: string };

/** What the methods share. */
export interface AuthContext {
  /** undefined: no such user. */
  secretOf(user: string): Secret | undefined;
  /** Kind of the latest secret that was found: what an unknown user is made to look like. */
  usualKind(): Secret['kind'];
  /** For secrets that exist, and for those that are only pretended. */
  readonly keys: KeyDeriver;
  readonly mockKeys: KeyDeriver;
  /** Of this process; salts and mock secrets are made from it, so they are the same at each try. */
  readonly processSecret: Buffer;
  /** A client proved by SCRAM that it has these keys of the stored verifier: good for logging in to a server that stores the same. */
  readonly onScramKeys: ((user: string, keys: ScramKeys) => void) | undefined;
}

export type AuthMethod = (exchange: Exchange, context: AuthContext) => Promise<AuthOutcome>;
