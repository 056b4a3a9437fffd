/** A stored secret (plain, md5, SCRAM) is read as PostgreSQL reads it. Fails if another form is taken for a password. */
import { describe, expect, it } from 'vitest';
import { md5Hash, md5Response } from '../../src/auth/md5.ts';
import { saslprep } from '../../src/auth/saslprep.ts';
import { parseSecret } from '../../src/auth/secrets.ts';

describe('parseSecret', () => {
  it('tells the three kinds apart', () => {
    expect(parseSecret('secret')).toEqual({ kind: 'plain', password: 'secret' });
    expect(parseSecret('md5A3556571E93B0D20722BA62BE61E8C2D')).toEqual({
      kind: 'md5',
      hash: 'a3556571e93b0d20722ba62be61e8c2d',
    });
    const key = Buffer.alloc(32, 1).toString('base64');
    const secret = parseSecret(`SCRAM-SHA-256$4096:c2FsdA==$${key}:${key}`);
    expect(secret).toMatchObject({ kind: 'scram-sha-256', iterations: 4096, salt: Buffer.from('salt') });
  });

  it.each([
    'md5',
    'md5xyz',
    'md5a3556571e93b0d20722ba62be61e8c2',
    'SCRAM-SHA-256$',
    'SCRAM-SHA-256$4096:c2FsdA==$AA==:AA==',
  ])('%j is only a password', (text) => expect(parseSecret(text).kind).toBe('plain'));
});

describe('md5', () => {
  it('is md5(md5(password + user) + salt)', () => {
    // select 'md5' || md5('secret' || 'ann')
    const hash = md5Hash('ann', 'secret');
    expect(hash).toMatch(/^[0-9a-f]{32}$/);
    expect(parseSecret(`md5${hash}`)).toEqual({ kind: 'md5', hash });
    expect(md5Response(hash, Buffer.from([1, 2, 3, 4]))).toMatch(/^md5[0-9a-f]{32}$/);
    expect(md5Response(hash, Buffer.from([1, 2, 3, 4]))).not.toBe(md5Response(hash, Buffer.from([1, 2, 3, 5])));
  });

  it('agrees with a known answer', () => {
    // RFC 1321: md5("abc")
    expect(md5Hash('c', 'ab')).toBe('900150983cd24fb0d6963f7d28e17f72');
  });
});

describe('saslprep', () => {
  it.each([
    ['plain', 'plain'],
    ['I\u00adX', 'IX'],
    ['user', 'user'],
    ['\u00aa', 'a'],
    ['\u2168', 'IX'],
    ['a\u00a0b', 'a b'],
    ['e\u0301', '\u00e9'],
    ['\u0627', '\u0627'],
  ])('maps %j to %j', (from, to) => expect(saslprep(from).toString()).toBe(to));

  it.each(['\u0007x\u00e9', '\u0627\u0031', '\u0627a\u0627', '\u00ad', 'a\ue000\u00aa', '\u00aa\u{10ffff}'])(
    'uses %j as it is, as PostgreSQL does with what the RFC prohibits',
    (password) => expect(saslprep(password).toString()).toBe(password),
  );
});
