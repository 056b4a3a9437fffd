/**
 * Authenticates clients: picks the method of auth.type or auth.hba_file, finds the user's secret for it, and reports
 * what a successful log-in has proven. Reads no files, counts and logs nothing. Made by frontend/client-acceptor.ts,
 * once per configuration.
 */
import { randomBytes } from 'node:crypto';
import { WeirError } from '../errors/errors.ts';
import { createKeyDeriver } from './keys.ts';
import type { Access } from './hba/load.ts';
import { isMapped } from './hba/ident.ts';
import { refusedByHba, ruleFor } from './hba/connection.ts';
import { certificateMismatch } from './methods/cert.ts';
import type { AuthType } from './methods/table.ts';
import { methods } from './methods/table.ts';
import { LookUpFailed, noCertificate, noValidCertificate, wrongPassword } from './outcome.ts';
import type { Secret } from './secrets.ts';
import { parseSecret } from './secrets.ts';
import type { ScramKeys } from './scram.ts';
import type { AuthContext, AuthOutcome, Exchange, Proven } from './types.ts';

export interface AuthOptions {
  readonly type: AuthType;
  /** The rules, for type hba; without them it refuses every client. */
  readonly access?: Access | undefined;
  /** The secret of a user in auth.file: plain, md5... or SCRAM-SHA-256$...; undefined: no such user. */
  readonly users: (name: string) => string | undefined;
  /**
   * Runs auth.query on a server of the database, for a user who is not in auth.file. Resolves to the secret;
   * undefined: no such user, or one who may not log in with a password now. Rejects with LookUpFailed.
   */
  readonly lookUp?: ((user: string, database: string) => Promise<string | undefined>) | undefined;
  /** The same for a user who wants the admin console. Absent: auth.file alone counts there. */
  readonly lookUpForConsole?: ((user: string) => Promise<string | undefined>) | undefined;
  /** auth.as: pgbouncer. Absent: false. */
  readonly isPgbouncer?: boolean;
  /** Whether auth.query is asked about users who want that database. Absent: never. */
  readonly asks?: ((database: string) => boolean) | undefined;
  /** Called after a successful log-in, before AuthenticationOk is sent. */
  readonly onProven?: ((proven: Proven) => void) | undefined;
}

export interface Authenticator {
  /** Rejects with the error of `exchange.receive`, or with a ProtocolError. */
  authenticate(exchange: Exchange): Promise<AuthOutcome>;
}

export function createAuthenticator(options: AuthOptions): Authenticator {
  let usualKind: Secret['kind'] = 'plain';
  const shared = {
    usualKind: () => usualKind,
    keys: createKeyDeriver(),
    mockKeys: createKeyDeriver({ maxInFlight: 1, maxWaiting: 64, maxCached: 1024 }),
    processSecret: randomBytes(32),
  };

  return {
    async authenticate(exchange) {
      let found: Found | undefined;
      let scramKeys: ScramKeys | undefined;
      let isUnknown = false;
      const look = async (): Promise<Found | undefined> => {
        const answer = await stored(options, exchange);
        isUnknown = answer === undefined;
        return answer;
      };
      const context: AuthContext = {
        ...shared,
        noSuchUser: whyUnknown(options, exchange),
        clientName: 'CN',
        isSameUser: (name, user) => name === user,
        mustBeKnown: options.isPgbouncer === true,
        isKnown: async () => (await look()) !== undefined,
        async secretOf() {
          const { text, isFromQuery } = (await look()) ?? { text: '', isFromQuery: false };
          // An empty secret counts as no secret, so that an empty password never succeeds.
          if (text === '') return undefined;
          found = { text, isFromQuery };
          const secret = parseSecret(text);
          usualKind = secret.kind;
          return secret;
        },
        onScramKeys: (keys) => void (scramKeys = keys),
      };
      const { type, access } = options;
      const check = type === 'hba' ? byRule(access, exchange, context) : methods[type].check(exchange, context);
      const outcome = await check.catch(refusedByLookUp);
      const { user, database } = exchange;
      if (outcome.isOk && found !== undefined) {
        options.onProven?.({ user, database, secret: found.text, isFromQuery: found.isFromQuery, scramKeys });
      }
      return isUnknown ? unknown(options, exchange, outcome) : outcome;
    },
  };
}

async function stored(options: AuthOptions, { user, database }: Exchange): Promise<Found | undefined> {
  const text = options.users(user);
  if (text !== undefined) return { text, isFromQuery: false };
  const { lookUp, lookUpForConsole } = options;
  // '': the user has no password.
  const answer = await (database === undefined ? lookUpForConsole?.(user) : lookUp?.(user, database));
  return answer === undefined ? undefined : { text: answer, isFromQuery: true };
}

/** PgBouncer tells a client that auth.query does not know it. */
function unknown({ isPgbouncer, asks }: AuthOptions, { database }: Exchange, outcome: AuthOutcome): AuthOutcome {
  if (outcome.isOk || isPgbouncer !== true || database === undefined || asks?.(database) !== true) return outcome;
  return { isOk: false, error: new WeirError('no_such_user'), why: outcome.why };
}

/** The first matching rule of auth.hba_file decides; without one, the client is refused. */
async function byRule(access: Access | undefined, exchange: Exchange, context: AuthContext): Promise<AuthOutcome> {
  const rule = access === undefined ? undefined : ruleFor(access, exchange);
  if (rule === undefined || access === undefined) return refusedByHba(exchange, 'hba_no_entry', 'no line fits');
  const { method, clientCert, clientName, place } = rule;
  const at = (outcome: AuthOutcome): AuthOutcome =>
    outcome.isOk ? outcome : { ...outcome, why: `${outcome.why} (${place})` };
  if (method === 'reject') return refusedByHba(exchange, 'hba_rejects', place);
  const needsCertificate = method === 'cert' || clientCert !== undefined;
  if (needsCertificate && exchange.certificate === undefined) return at(noValidCertificate());
  const map = rule.map === undefined ? undefined : access.maps.get(rule.map);
  const isSameUser = (name: string, user: string): boolean =>
    rule.map === undefined ? name === user : map !== undefined && isMapped(map, name, user);
  const mapped = { ...context, clientName, isSameUser };
  const outcome = await methods[method].check(exchange, mapped);
  if (!outcome.isOk || clientCert !== 'verify-full') return at(outcome);
  const why = certificateMismatch(exchange, mapped);
  if (why === undefined) return outcome;
  // As in PostgreSQL, the error does not tell that the password was right.
  return at(method === 'trust' ? noCertificate(exchange.user, why) : wrongPassword(exchange.user, why));
}

interface Found {
  readonly text: string;
  readonly isFromQuery: boolean;
}

function refusedByLookUp(error: unknown): AuthOutcome {
  if (!(error instanceof LookUpFailed)) throw error;
  return { isOk: false, error: error.error, why: error.message };
}

function whyUnknown({ lookUp }: AuthOptions, { database }: Exchange): string {
  if (lookUp === undefined) return 'no such user in auth.file';
  if (database === undefined) return 'no such user in auth.file, which alone counts for the admin console';
  return 'no such user in auth.file, and auth.query knows none who may log in with a password';
}
