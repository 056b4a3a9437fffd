/** Each cache that gives way when memory is short does so at once, stays within its part, and may use all of its size again. */
import { describe, expect, test } from 'vitest';
import { Settings } from '../../src/session/settings.ts';
import { StatementBook } from '../../src/session/statements.ts';
import { createClassifier } from '../../src/sql/classifier.ts';
import { bench, flightOf, key, prefix } from '../cache/support.ts';

describe('the result cache', () => {
  const b = bench({ maxMemoryBytes: 1_000_000 });
  const session = b.cache.newFreshness();
  const tags = [`${prefix}r1`, `${prefix}cat`];
  const lookup = (i: number): ReturnType<typeof b.cache.lookup> => {
    const parts = { types: Buffer.from('types'), bind: Buffer.from(`value ${i}`), settings: '' };
    return b.cache.lookup(key('SELECT * FROM accounts WHERE id = $1', parts), tags, 1e9, session, b.ticks);
  };
  const fill = (i: number): void => flightOf(lookup(i)).store([Buffer.alloc(10_000)], 100);

  test('keeps the newest entries of half its size, then has room again', () => {
    for (let i = 0; i < 60; i++) fill(i);
    const { bytes, evictions } = b.cache.stats();
    const freed = b.cache.keepShare(0.5);
    expect(b.cache.stats().bytes).toBe(bytes - freed);
    expect(b.cache.stats().bytes).toBeLessThanOrEqual(500_000);
    expect(b.cache.stats().evictions).toBeGreaterThan(evictions);
    expect(lookup(59)).toMatchObject({ kind: 'hit' });
    expect(lookup(0)).toMatchObject({ kind: 'miss' });
    for (let i = 100; i < 160; i++) fill(i);
    expect(b.cache.stats().bytes).toBeLessThanOrEqual(500_000);
    expect(b.cache.keepShare(1)).toBe(0);
    for (let i = 200; i < 260; i++) fill(i);
    expect(b.cache.stats().bytes).toBeGreaterThan(500_000);
  });

  test('keeps nothing that is larger than its part', () => {
    b.cache.keepShare(1 / 256);
    fill(1000);
    expect(b.cache.stats().entries).toBe(0);
  });
});

test('the classifier forgets templates and texts, and knows them when it has seen them again', async () => {
  const classifier = await createClassifier({ maxCacheBytes: 200_000 });
  const kinds = (text: string): unknown =>
    classifier.classify(Buffer.from(text)).facts.statements.map(({ kind }) => kind);
  for (let i = 0; i < 100; i++) kinds(`SELECT a${i} FROM t${i} WHERE b = 1`);
  for (let i = 0; i < 100; i++) kinds(`SET application_name = 'a${i}'`);
  expect(classifier.keepShare(0.1)).toBeGreaterThan(20_000);
  expect(classifier.keepShare(0.1)).toBe(0);
  expect(kinds('SELECT a1 FROM t1 WHERE b = 1')).toEqual(['select']);
  for (let i = 0; i < 100; i++) kinds(`SELECT c${i} FROM t${i} WHERE b = 1`);
  // What came meanwhile has not gone beyond its part.
  expect(classifier.keepShare(0.05)).toBeLessThanOrEqual(20_000);
});

describe('the book of statements', () => {
  const book = new StatementBook();
  const scene = book.sceneOf({}, '');
  const enter = (text: string): ReturnType<typeof book.enter> =>
    book.enter(Buffer.from(text), Buffer.alloc(2), scene, Settings.none, () => ({
      facts: { template: '', statements: [], unparsed: undefined },
      hints: undefined,
    }));

  test('gives up statements that nobody has, and no other', () => {
    const used = enter('used');
    for (let i = 0; i < 1_000; i++) book.leave(enter(`${i} ${'x'.repeat(1_000)}`));
    expect(book.size).toBe(1_001);
    expect(book.keepShare(1 / 64)).toBeGreaterThan(700_000);
    expect(book.size).toBeLessThan(300);
    expect(enter('used')).toBe(used);
    expect(book.usersOf(used)).toBe(2);
    for (let i = 0; i < 1_000; i++) book.leave(enter(`again ${i} ${'x'.repeat(1_000)}`));
    expect(book.size).toBeLessThan(300);
    expect(book.keepShare(1)).toBe(0);
  });
});
