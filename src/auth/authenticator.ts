/**
 * The one door of this room for clients: picks the method of auth.type and gives it what it needs. Does not read
 * files, does not count, does not log. Made by frontend/listener.ts, once per configuration.
 */
import { randomBytes } from 'node:crypto';
import type { AuthType } from '../config/config.ts';
import { createKeyDeriver } from './keys.ts';
import { cert } from './methods/cert.ts';
import { md5 } from './methods/md5.ts';
import { scram } from './methods/scram.ts';
import { trust } from './methods/trust.ts';
import type { Secret } from './secrets.ts';
import { parseSecret } from './secrets.ts';
import type { ScramKeys } from './scram.ts';
import type { AuthContext, AuthMethod, AuthOutcome, Exchange } from './types.ts';

const methods: Readonly<Record<AuthType, AuthMethod>> = { trust, md5, 'scram-sha-256': scram, cert };

export interface AuthOptions {
  readonly type: AuthType;
  /** The secret of a user as auth.file has it: plain, md5... or SCRAM-SHA-256$...; undefined: no such user. */
  readonly users: (name: string) => string | undefined;
  /** See AuthContext. */
  readonly onScramKeys?: (user: string, keys: ScramKeys) => void;
}

export interface Authenticator {
  /** Rejects with what `exchange.receive` rejects with, or a ProtocolError. */
  authenticate(exchange: Exchange): Promise<AuthOutcome>;
}

export function createAuthenticator(options: AuthOptions): Authenticator {
  let usualKind: Secret['kind'] = 'plain';
  const context: AuthContext = {
    secretOf(user) {
      const text = options.users(user);
      // An empty secret is no password at all: nobody gets in with it.
      if (text === undefined || text === '') return undefined;
      const secret = parseSecret(text);
      usualKind = secret.kind;
      return secret;
    },
    usualKind: () => usualKind,
    keys: createKeyDeriver(),
    mockKeys: createKeyDeriver({ maxInFlight: 1, maxWaiting: 64, maxCached: 1024 }),
    processSecret: randomBytes(32),
    onScramKeys: options.onScramKeys,
  };
  return { authenticate: (exchange) => methods[options.type](exchange, context) };
}
