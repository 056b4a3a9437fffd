/** The small pieces of the cache, each by itself: key, capture, messages, the form of an entry in Redis, tags. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Capture } from '../../src/cache/capture.ts';
import { Freshness } from '../../src/cache/freshness.ts';
import { fullKey, hashKey, keyBytes } from '../../src/cache/key.ts';
import { parseMessage } from '../../src/cache/messages.ts';
import { TagTable } from '../../src/cache/tags.ts';
import type { KeyParts } from '../../src/cache/types.ts';
import { FakeTicks, key, prefix } from './support.ts';

describe('key (rule 9)', () => {
  const anyKey: fc.Arbitrary<KeyParts> = fc.record({
    database: fc.string({ unit: 'grapheme', maxLength: 4 }),
    user: fc.string({ maxLength: 3 }),
    settings: fc.string({ maxLength: 3 }),
    shape: fc.constantFrom('Q', 'PBE', 'PBDE'),
    sql: fc.uint8Array({ maxLength: 4 }).map((bytes) => Buffer.from(bytes)),
    types: fc.option(
      fc.uint8Array({ maxLength: 2 }).map((bytes) => Buffer.from(bytes)),
      { nil: undefined },
    ),
    bind: fc.option(
      fc.uint8Array({ maxLength: 2 }).map((bytes) => Buffer.from(bytes)),
      { nil: undefined },
    ),
  });
  const plain = ({ sql, types, bind, ...rest }: KeyParts): string =>
    JSON.stringify([rest, sql.toString('hex'), types?.toString('hex') ?? null, bind?.toString('hex') ?? null]);

  it('is equal exactly when every part is', () => {
    fc.assert(
      fc.property(anyKey, anyKey, (a, b) => {
        expect(fullKey(a) === fullKey(b)).toBe(plain(a) === plain(b));
        expect(keyBytes(fullKey(a)).equals(keyBytes(fullKey(b)))).toBe(plain(a) === plain(b));
      }),
      { numRuns: 2_000 },
    );
  });

  it('does not let one part run into the next', () => {
    expect(fullKey(key('SELECT 1', { user: 'ab', settings: 'c' }))).not.toBe(
      fullKey(key('SELECT 1', { user: 'a', settings: 'bc' })),
    );
    expect(fullKey(key('x', { bind: Buffer.alloc(0) }))).not.toBe(fullKey(key('x')));
  });

  it.each(['database', 'user', 'settings', 'shape'] as const)('differs by %s', (part) => {
    expect(fullKey(key('SELECT 1', { [part]: 'other' }))).not.toBe(fullKey(key('SELECT 1')));
  });

  it('is the same with other comments, and not with other strings that look like some', () => {
    expect(fullKey(key('/* weir: cache=30s */ SELECT 1'))).toBe(fullKey(key('/* from page 7 */ SELECT 1')));
    expect(fullKey(key("SELECT '/* a */'"))).not.toBe(fullKey(key("SELECT '/* b */'")));
    expect(fullKey(key("SELECT '--a'"))).not.toBe(fullKey(key("SELECT '--b'")));
  });

  it('leaves a text alone whose strings end where a setting says', () => {
    // With standard_conforming_strings = off the whole of it is one string.
    expect(fullKey(key("SELECT '\\' /* a */ --'"))).not.toBe(fullKey(key("SELECT '\\' /* b */ --'")));
  });

  it('has a short name of constant length', () => {
    expect(hashKey(Buffer.from('x'))).toHaveLength(27);
  });
});

describe('capture', () => {
  it('collects copies in order, whatever the pieces', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 3_000 }), { maxLength: 8 }), (pieces) => {
        const capture = new Capture(1_000_000);
        const chunk = Buffer.alloc(4_000);
        for (const piece of pieces) {
          chunk.set(piece, 7);
          capture.add(chunk, 7, 7 + piece.length);
          chunk.fill(0);
        }
        expect(Buffer.concat([...capture.parts])).toEqual(Buffer.concat(pieces));
        expect(capture.bytes).toBe(pieces.reduce((sum, { length }) => sum + length, 0));
      }),
    );
  });

  it('takes exactly the limit, and lets go of everything beyond it', () => {
    const capture = new Capture(10);
    capture.add(Buffer.alloc(10), 0, 10);
    expect(capture).toMatchObject({ overflow: false, bytes: 10 });
    capture.add(Buffer.alloc(10), 0, 1);
    expect(capture).toMatchObject({ overflow: true, bytes: 0, parts: [] });
    capture.add(Buffer.alloc(10), 0, 1);
    expect(capture).toMatchObject({ overflow: true, bytes: 0, parts: [] });
  });
});

describe('messages of peers', () => {
  const good = { i: 'inc', n: 7, f: 'peer', k: 'open', o: 'token', t: ['a', 'b'], s: [1, 2] };

  it('are read as they were written', () => {
    expect(parseMessage(JSON.stringify(good))).toEqual({
      incarnation: 'inc',
      number: 7,
      from: 'peer',
      kind: 'open',
      token: 'token',
      tags: ['a', 'b'],
      stamps: [1, 2],
    });
    expect(parseMessage(JSON.stringify({ ...good, s: undefined }))).toMatchObject({ stamps: [] });
    expect(parseMessage(JSON.stringify({ ...good, k: 'close' }))).toMatchObject({ kind: 'close' });
    expect(parseMessage(JSON.stringify({ i: 'x', n: 1, f: 'y', k: 'reset' }))).toMatchObject({ kind: 'reset' });
  });

  it.each([
    ['another kind', { ...good, k: 'other' }],
    ['no number', { ...good, n: -1 }],
    ['a number that is none', { ...good, n: 1.5 }],
    ['stamps for other tags', { ...good, s: [1] }],
    ['tags that are no text', { ...good, t: [1, 2] }],
    ['tags that are no list', { ...good, t: {} }],
    ['no token', { ...good, o: 5 }],
  ])('are refused with %s', (_what, message) => {
    expect(parseMessage(JSON.stringify(message))).toBeUndefined();
  });

  it('are never thrown at, whatever they are', () => {
    fc.assert(fc.property(fc.string(), (text) => void parseMessage(text)));
    fc.assert(fc.property(fc.json(), (text) => void parseMessage(text)));
    expect(parseMessage(JSON.stringify({ ...good, o: 'x'.repeat(1_000_000) }))).toBeUndefined();
  });
});

describe('tags', () => {
  it('never give the same stamp twice', () => {
    const table = new TagTable(false, 5);
    const seen = new Set<number>();
    for (let i = 0; i < 200; i++) {
      const state = table.state(`${prefix}r${i % 10}`);
      if (i % 3 === 0) table.bump(state);
      seen.add(state.stamp);
      table.bump(state);
      expect(seen.has(state.stamp)).toBe(false);
    }
    expect(table.size).toBeLessThanOrEqual(7);
  });

  it("resolve to each database's `all` and the `all` of all databases as well, in one order, once", () => {
    const table = new TagTable(false, 100);
    const set = table.resolve([`${prefix}r2`, `${prefix}r1`, `${prefix}r2`, 't:r1']);
    expect(set.names).toEqual([`${prefix}all`, `${prefix}r1`, `${prefix}r2`, 'all', 't:r1']);
    expect(set.states.map(({ kind }) => kind)).toEqual(['all', 'relation', 'relation', 'all', 'user']);
    const tags = [`${prefix}r1`];
    expect(table.resolve(tags)).toBe(table.resolve(tags));
  });

  it('get their clock also when the database is attached later', () => {
    const table = new TagTable(true, 100);
    const ticks = new FakeTicks();
    const state = table.state(`${prefix}r1`);
    expect(state.source).toBeUndefined();
    table.attach(prefix, ticks);
    expect(state.lastWriteIn(ticks)).toBe(1);
  });
});

describe('freshness', () => {
  it('accepts what was asked for, or confirmed, after the last read', () => {
    const table = new TagTable(false, 100);
    const state = table.state(`${prefix}r1`);
    const freshness = new Freshness();
    expect(freshness.accepts([state], 1)).toBe(true);
    freshness.raise(state, 5);
    expect([4, 5, 6].map((order) => freshness.accepts([state], order))).toEqual([false, false, true]);
    state.confirmed = 6;
    expect(freshness.accepts([state], 1)).toBe(true);
    freshness.raise(state, 9);
    expect(freshness.accepts([state], 1)).toBe(false);
  });

  it('may forget which tag it was, never that there was one', () => {
    const table = new TagTable(false, 1_000);
    const freshness = new Freshness();
    const states = Array.from({ length: 100 }, (_, i) => table.state(`${prefix}r${i}`));
    states.forEach((state, i) => freshness.raise(state, i + 1));
    states.forEach((state, i) => expect(freshness.accepts([state], i + 1)).toBe(false));
    expect(states.every((state) => freshness.accepts([state], 101))).toBe(true);
  });
});
