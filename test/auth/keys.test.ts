/**
 * Keys derived from passwords: the right ones, computed once for equal calls, in bounded number. Fails if two passwords
 * share a key.
 */
import { pbkdf2Sync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { OverloadedError, createKeyDeriver } from '../../src/auth/keys.ts';
import { scramKeys } from '../../src/auth/scram.ts';

const salt = Buffer.from('0123456789abcdef');

describe('createKeyDeriver', () => {
  it('derives what PBKDF2 says', async () => {
    const keys = await createKeyDeriver().derive('pencil', salt, 4096);
    expect(keys).toEqual(scramKeys(pbkdf2Sync('pencil', salt, 4096, 32, 'sha256')));
  });

  it('shares one computation between equal calls, also later ones', async () => {
    const { derive } = createKeyDeriver({ maxInFlight: 1, maxWaiting: 0 });
    const both = [derive('a', salt, 10), derive('a', salt, 10)];
    const [one, two] = await Promise.all(both);
    expect(two).toBe(one);
    expect(await derive('a', salt, 10)).toBe(one);
  });

  it('does not confuse passwords, salts or counts', async () => {
    const { derive } = createKeyDeriver();
    const all = await Promise.all([
      derive('a', salt, 10),
      derive('b', salt, 10),
      derive('a', Buffer.from('other'), 10),
      derive('a', salt, 11),
    ]);
    expect(new Set(all.map((keys) => keys.storedKey.toString('hex'))).size).toBe(4);
  });

  it('refuses what does not fit into the queue, and serves the rest and later ones', async () => {
    const { derive } = createKeyDeriver({ maxInFlight: 1, maxWaiting: 2 });
    const tries = ['a', 'b', 'c', 'd', 'e'].map((password) => derive(password, salt, 1000));
    const results = await Promise.allSettled(tries);
    expect(results.map((result) => result.status)).toEqual([
      'fulfilled',
      'fulfilled',
      'fulfilled',
      'rejected',
      'rejected',
    ]);
    expect((results[4] as PromiseRejectedResult).reason).toBeInstanceOf(OverloadedError);
    await expect(derive('e', salt, 1000)).resolves.toBeDefined();
  });

  it('forgets the least recently used', async () => {
    const { derive } = createKeyDeriver({ maxCached: 2 });
    const a = await derive('a', salt, 1);
    const b = await derive('b', salt, 1);
    expect(await derive('a', salt, 1)).toBe(a);
    await derive('c', salt, 1);
    expect(await derive('a', salt, 1)).toBe(a);
    const again = await derive('b', salt, 1);
    expect(again).not.toBe(b);
    expect(again).toEqual(b);
  });
});
