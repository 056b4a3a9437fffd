/**
 * Which rules concern whom: `*` means those that no other rule names, in any key; networks, IPv4 in IPv6, Unix sockets.
 */
import { describe, expect, it } from 'vitest';
import { holdsOf, parseNetwork, whomOf } from '../../src/limits/whom.ts';
import { rules, who } from './support.ts';

const concerns = (list: readonly object[], client = who()): string[] =>
  holdsOf(rules(...list), client).map(({ limit, key }) => `${limit.name}: ${whomOf(limit, key)}`);

const everybody = { user: '*', statements: '5/s' };
const batch = { user: 'batch', database: 'shop', statements: '1/s' };

describe('a rule', () => {
  it('of * has a bucket for each user, without those that another rule names', () => {
    expect(concerns([everybody, batch], who('alice'))).toEqual(['user=*: user=alice']);
    expect(concerns([everybody, batch], who('batch'))).toEqual(['user=batch database=shop: user=batch database=shop']);
  });

  it('names somebody only where it fits, and only for what it limits', () => {
    expect(concerns([everybody, batch], who('batch', 'other'))).toEqual(['user=*: user=batch']);
    const ofConnections = { user: 'batch', connections: '1/s' };
    expect(concerns([everybody, ofConnections], who('batch'))).toEqual([
      'user=*: user=batch',
      'user=batch: user=batch',
    ]);
  });

  it('of another key holds beside it', () => {
    const list = [everybody, { database: 'shop', statements: '9/s' }, { address: '10.0.0.0/8', statements: '9/s' }];
    expect(concerns(list)).toEqual([
      'user=*: user=alice',
      'database=shop: database=shop',
      'address=10.0.0.0/8: address=10.1.2.3',
    ]);
  });

  it('of nobody in particular is one bucket for all', () => {
    const list = [{ statements: '9/s' }];
    expect(concerns(list)).toEqual(['all: all clients']);
    const keys = ['alice', 'bob'].map((user) => holdsOf(rules(...list), who(user))[0]?.key);
    expect(keys[0]).toBe(keys[1]);
  });

  it('of a network has a bucket for each address in it; of * for each in none', () => {
    const list = [
      { address: '10.0.0.0/8', statements: '9/s' },
      { address: '*', statements: '1/s' },
    ];
    expect(concerns(list, who('a', 'b', '10.9.8.7'))).toEqual(['address=10.0.0.0/8: address=10.9.8.7']);
    expect(concerns(list, who('a', 'b', '11.0.0.1'))).toEqual(['address=*: address=11.0.0.1']);
    expect(concerns(list, who('a', 'b', 'fe80::1'))).toEqual(['address=*: address=fe80::1']);
  });

  it('takes an IPv4 address in IPv6 for the IPv4 address, and a Unix socket for none', () => {
    const list = [{ address: '*', statements: '1/s' }];
    const keyOf = (address: string): string | undefined => holdsOf(rules(...list), who('a', 'b', address))[0]?.key;
    expect(keyOf('::ffff:10.1.2.3')).toBe(keyOf('10.1.2.3'));
    expect(holdsOf(rules(...list), { user: 'a', database: 'b', address: undefined })).toEqual([]);
    expect(concerns([everybody, ...list], { user: 'a', database: 'b', address: undefined })).toEqual([
      'user=*: user=a',
    ]);
  });
});

describe('keys of buckets', () => {
  it('of different users differ, whatever their names', () => {
    const list = rules({ user: '*', database: '*', statements: '1/s' });
    const keyOf = (user: string, database: string): string | undefined => holdsOf(list, who(user, database))[0]?.key;
    expect(keyOf('a database=b', 'c')).not.toBe(keyOf('a', 'b database=c'));
  });

  it('are short, however long a name is', () => {
    const [hold] = holdsOf(rules(everybody), who('x'.repeat(10_000)));
    expect(hold?.key.length).toBeLessThan(300);
  });

  it.each(['::', '::1', 'fe80::1:0:0:1', '2001:db8:0:1:1:1:1:1', '1:0:0:2::3', '1:2:3:4:5:6:7:8'])(
    '%s is shown as an address',
    (address) => {
      const list = rules({ address: '*', statements: '1/s' });
      const [shown] = holdsOf(list, who('a', 'b', address)).map(({ limit, key }) => whomOf(limit, key));
      const text = shown?.replace('address=', '') ?? '';
      expect(parseNetwork(text)).toEqual(parseNetwork(address));
    },
  );
});

describe('networks', () => {
  it.each(['10.0.0.0/8', '10.1.2.3', 'fd00::/8', '::ffff:10.0.0.0/104', '::1/128', '0.0.0.0/0'])(
    '%s is one',
    (text) => {
      expect(parseNetwork(text)).toBeDefined();
    },
  );

  it.each([
    '',
    'x',
    '10.0.0.0/33',
    '10.0.0/8',
    '10.0.0.0/8/8',
    '10.0.0.0/',
    '10.0.0.0/-1',
    '::/129',
    '::ffff:1.2.3.4/95',
    'fe80::1%eth0',
  ])('"%s" is none', (text) => {
    expect(parseNetwork(text)).toBeUndefined();
  });
});
