/** auth.as: pgbouncer. Fails if trust lets in somebody whom nobody knows, or if the client is not told what PgBouncer tells it. */
import { describe, expect, it } from 'vitest';
import { createAuthenticator, type AuthOptions } from '../../src/auth/authenticator.ts';
import type { AuthOutcome, Exchange } from '../../src/auth/types.ts';
import { WeirError } from '../../src/errors/errors.ts';
import { inPgbouncerWords } from '../../src/frontend/pgbouncer-words.ts';

function tryAs(
  user: string,
  options: Partial<AuthOptions>,
  database: string | undefined = 'shop',
): Promise<AuthOutcome> {
  const exchange: Exchange = {
    ...{ user, database, databaseNames: [database ?? 'weir'], replication: undefined, hasTls: false },
    ...{ remoteAddress: '127.0.0.1', certificate: undefined, channelBinding: () => undefined },
    send: () => undefined,
    receive: () => Promise.resolve(Buffer.from('md5wrong\0')),
  };
  const users = (name: string): string | undefined => (name === 'ann' ? 'secret' : undefined);
  return createAuthenticator({ type: 'trust', users, isPgbouncer: true, ...options }).authenticate(exchange);
}

const nameOf = async (outcome: Promise<AuthOutcome>): Promise<string> => {
  const found = await outcome;
  return found.isOk ? 'ok' : found.error.errorName;
};

/** auth.query knows bob, and carl who has no password. */
const asked: Partial<AuthOptions> = {
  lookUp: (user) => Promise.resolve(user === 'bob' ? 'other' : user === 'carl' ? '' : undefined),
  asks: (database) => database === 'shop',
};

describe('trust', () => {
  it('lets in the users of auth.file only', async () => {
    expect(await nameOf(tryAs('ann', {}))).toBe('ok');
    expect(await nameOf(tryAs('bob', {}))).toBe('trust_failed');
    expect(await nameOf(tryAs('bob', { isPgbouncer: false }))).toBe('ok');
  });

  it('lets in those whom auth.query knows, also without a password', async () => {
    expect(await nameOf(tryAs('bob', asked))).toBe('ok');
    expect(await nameOf(tryAs('carl', asked))).toBe('ok');
    expect(await nameOf(tryAs('dan', asked))).toBe('no_such_user');
  });
});

it('the console asks for its users where that is possible', async () => {
  const options: Partial<AuthOptions> = {
    ...asked,
    type: 'plain',
    lookUpForConsole: (user) => Promise.resolve(user === 'stats' ? 'good' : undefined),
  };
  const onConsole = (user: string, more: Partial<AuthOptions> = options): Promise<string> =>
    nameOf(
      createAuthenticator({ users: () => undefined, isPgbouncer: true, type: 'plain', ...more }).authenticate({
        ...{ user, database: undefined, databaseNames: ['weir'], replication: undefined, hasTls: false },
        ...{ remoteAddress: '127.0.0.1', certificate: undefined, channelBinding: () => undefined },
        send: () => undefined,
        receive: () => Promise.resolve(Buffer.from('good\0')),
      }),
    );
  expect(await onConsole('stats')).toBe('ok');
  expect(await onConsole('stats', { lookUpForConsole: () => Promise.resolve('other') })).toBe('authentication_failed');
  expect(await onConsole('bob')).toBe('authentication_failed');
  expect(await onConsole('stats', asked)).toBe('authentication_failed');
});

describe('an unknown user', () => {
  it('is told so if auth.query was asked, and only then', async () => {
    expect(await nameOf(tryAs('dan', { ...asked, type: 'md5' }))).toBe('no_such_user');
    expect(await nameOf(tryAs('carl', { ...asked, type: 'md5' }))).toBe('authentication_failed');
    expect(await nameOf(tryAs('bob', { ...asked, type: 'md5' }))).toBe('authentication_failed');
    expect(await nameOf(tryAs('dan', { type: 'md5' }))).toBe('authentication_failed');
    expect(await nameOf(tryAs('dan', { ...asked, type: 'md5' }, 'other'))).toBe('authentication_failed');
    expect(await nameOf(tryAs('dan', { ...asked, type: 'md5', isPgbouncer: false }))).toBe('authentication_failed');
  });
});

it('words are those of PgBouncer, and DETAIL is what Weir says', () => {
  const error = new WeirError('no_such_database', { database: 'gone' });
  expect(inPgbouncerWords(error, false)).toEqual({
    ...{ sqlstate: '3D000', message: 'no such database: gone' },
    ...{ detail: 'database "gone" is not configured in Weir', hint: error.hint },
  });
  const failed = new WeirError('authentication_failed', { user: 'ann' });
  expect(inPgbouncerWords(failed, true).message).toBe('SASL authentication failed');
  expect(inPgbouncerWords(new WeirError('auth_query_failed', { user: 'ann' }), true).message).toBe(
    'bouncer config error',
  );
  const same = new WeirError('no_such_user');
  expect(inPgbouncerWords(same, false)).toEqual({
    ...{ sqlstate: '28P01', message: 'no such user', detail: undefined, hint: same.hint },
  });
});
