/** auth.as: pgbouncer. Fails if trust lets in somebody whom nobody knows, or if the client is not told what PgBouncer tells it. */
import { describe, expect, it } from 'vitest';
import { createAuthenticator, type AuthOptions } from '../../src/auth/authenticator.ts';
import { parseRules } from '../../src/auth/hba/rules.ts';
import { fieldsOf } from '../../src/auth/hba/tokens.ts';
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
  expect(inPgbouncerWords(error)).toEqual({
    ...{ sqlstate: '3D000', message: 'no such database: gone' },
    ...{ detail: 'database "gone" is not configured in Weir', hint: error.hint },
  });
  expect(inPgbouncerWords(new WeirError('auth_query_failed', { user: 'ann' })).message).toBe('bouncer config error');
  const same = new WeirError('no_such_user');
  expect(inPgbouncerWords(same)).toEqual({
    ...{ sqlstate: '28P01', message: 'no such user', detail: undefined, hint: same.hint },
  });
});

/** What a client with the wrong password is told, if it goes through SCRAM when it is asked to. */
async function wordsOf(options: Partial<AuthOptions>): Promise<string> {
  const sent: Buffer[] = [];
  const answers = {
    first: (): Buffer => {
      const data = Buffer.from('n,,n=,r=abc');
      const length = Buffer.alloc(4);
      length.writeInt32BE(data.length);
      return Buffer.concat([Buffer.from('SCRAM-SHA-256\0'), length, data]);
    },
    final: (): Buffer => {
      const nonce = /r=([^,]*)/.exec(sent.at(-1)?.toString('latin1') ?? '')?.[1] ?? '';
      return Buffer.from(`c=biws,r=${nonce},p=${Buffer.alloc(32).toString('base64')}`);
    },
  };
  const outcome = await createAuthenticator({ type: 'md5', users: () => undefined, ...options }).authenticate({
    ...{ user: 'ann', database: 'shop', databaseNames: ['shop'], replication: undefined, hasTls: false },
    ...{ remoteAddress: '127.0.0.1', certificate: undefined, channelBinding: () => undefined },
    send: (message) => void sent.push(message),
    receive: () => {
      const asked = sent.at(-1)?.readInt32BE(5);
      return Promise.resolve(asked === 10 ? answers.first() : asked === 11 ? answers.final() : Buffer.from('no\0'));
    },
  });
  return outcome.isOk ? 'ok' : inPgbouncerWords(outcome.error).message;
}

const scramSecret = `SCRAM-SHA-256$4096:${Buffer.alloc(16).toString('base64')}$${Buffer.alloc(32, 1).toString('base64')}:${Buffer.alloc(32, 2).toString('base64')}`;
const hba = (line: string): Partial<AuthOptions> => {
  const fields = fieldsOf(line);
  if ('problem' in fields) throw new Error(fields.problem);
  const rules = parseRules([{ place: 'hba.conf:1', fields: fields.fields }], []);
  return { type: 'hba', access: { rules, maps: new Map(), warnings: [] } };
};

describe('a wrong password', () => {
  it('is told as PgBouncer does by the way that the log-in went, whatever auth.type is', async () => {
    const users = (): string => scramSecret;
    expect(await wordsOf({ type: 'scram-sha-256', users })).toBe('SASL authentication failed');
    expect(await wordsOf({ type: 'md5', users })).toBe('SASL authentication failed');
    expect(await wordsOf({ ...hba('host all all all scram-sha-256'), users })).toBe('SASL authentication failed');
    expect(await wordsOf({ type: 'md5', users: () => 'plain' })).toBe('password authentication failed');
    expect(await wordsOf({ ...hba('host all all all md5'), users: () => 'plain' })).toBe(
      'password authentication failed',
    );
  });
});

it('a client that auth.hba_file does not let in is told so in one word of PgBouncer, by a line or without one', async () => {
  expect(await wordsOf(hba('host all all all reject'))).toBe('login rejected');
  expect(await wordsOf(hba('host other all all md5'))).toBe('login rejected');
});
