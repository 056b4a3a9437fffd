/**
 * auth.query: what it returns becomes a secret, is asked once for many log-ins, and its failures refuse the log-in. Fails if
 * an answer is kept too long, or an error lets somebody in.
 */
import { describe, expect, it } from 'vitest';
import { secretIn } from '../../src/app/auth-query.ts';
import { Credentials } from '../../src/app/credentials.ts';
import type { ScramKeys } from '../../src/auth/scram.ts';

const key = Buffer.alloc(32);
const keys: ScramKeys = { clientKey: key, storedKey: key, serverKey: key };
const scram = `SCRAM-SHA-256$4096:c2FsdA==$${key.toString('base64')}:${key.toString('base64')}`;

describe('the answer to auth.query', () => {
  it.each([
    [[['ann', 'secret']], 'secret'],
    [[['ann', scram]], scram],
    [[], undefined],
    [[['ann', null]], ''],
    [[['ann', '']], ''],
    [[[null, null]], undefined],
    [[[null, 'secret']], undefined],
  ])('%j means %s', (rows, secret) => {
    expect(secretIn(rows, 'ann')).toBe(secret);
  });

  it.each([
    [
      [
        ['ann', 'a'],
        ['ann', 'a'],
      ],
      'more than one row',
    ],
    [[['ann']], '1 columns'],
    [[[]], '0 columns'],
    [[['ann', 'a', 'b']], '3 columns'],
    [[['bob', 'a']], 'another user'],
    [[['Ann', 'a']], 'another user'],
    [[['', 'a']], 'another user'],
    [[['ann', '********']], 'asterisks'],
    [[['ann', 'x'.repeat(2_049)]], 'longer than 2048 bytes'],
    [[['ann', 'SCRAM-SHA-256$4096:x']], 'starts like a SCRAM secret'],
    [[['ann', scram.replace('4096', '0')]], 'starts like a SCRAM secret'],
  ])('%j is refused: %s', (rows, why) => {
    expect(() => secretIn(rows, 'ann')).toThrow(why);
  });
});

describe('credentials for servers', () => {
  const proven = { user: 'ann', database: 'shop', secret: scram, isFromQuery: true, scramKeys: keys };

  it('of auth.query are those of one database, and go with it', () => {
    const credentials = new Credentials(new Map());
    credentials.learn(proven);
    expect(credentials.of('shop', 'ann')).toEqual({ secret: scram, scramKeys: keys });
    expect(credentials.of('other', 'ann')).toEqual({ secret: undefined, scramKeys: undefined });
    credentials.forget('shop');
    expect(credentials.of('shop', 'ann').scramKeys).toBeUndefined();
  });

  it('of auth.file are the same for all databases, and come first', () => {
    const credentials = new Credentials(new Map([['ann', scram]]));
    credentials.learn({ ...proven, secret: 'what a server said', scramKeys: undefined });
    expect(credentials.of('shop', 'ann')).toEqual({ secret: scram, scramKeys: undefined });
    credentials.learn({ ...proven, isFromQuery: false });
    expect(credentials.of('other', 'ann')).toEqual({ secret: scram, scramKeys: keys });
  });
});
