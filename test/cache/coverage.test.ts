/** Rule 17: with cache.out_of_band_writes, an answer is shown only while writes around Weir are known, for all of its tables. */
import { describe, expect, it } from 'vitest';
import type { Lookup } from '../../src/cache/types.ts';
import { bench, catalogTag, flightOf, key, orders, prefix, storeText, users } from './support.ts';

const read = key('SELECT * FROM users');
const outOfBandWrites = 'logical-replication' as const;

function look(b: ReturnType<typeof bench>, tags: readonly string[] = [users, catalogTag]): Lookup {
  return b.cache.lookup(read, tags, Infinity, b.cache.newFreshness(), b.ticks);
}

function peek(b: ReturnType<typeof bench>, tags?: readonly string[]): string {
  const lookup = look(b, tags);
  if (lookup.kind === 'miss') lookup.flight?.abandon();
  return lookup.kind === 'miss' ? lookup.why : lookup.kind;
}

describe('writes around Weir', () => {
  it('nobody looks for them: only the time to live counts', () => {
    const b = bench();
    b.cache.cover(prefix, 0, new Set());
    storeText(flightOf(look(b)), 'alice');
    expect(peek(b)).toBe('hit');
  });

  it('nothing is kept before it is known which tables are decoded', () => {
    const b = bench({ outOfBandWrites });
    const lookup = look(b);
    expect(lookup).toMatchObject({ kind: 'miss', flight: undefined });
    expect(peek(b)).toMatch(/writes around Weir to one of its tables are not seen/);
  });

  it('an answer is shown until the time that was said last, and again after the next word', () => {
    const b = bench({ outOfBandWrites });
    const tables = new Set([users]);
    b.cache.cover(prefix, b.clock.nowMs() + 500, tables);
    storeText(flightOf(look(b)), 'alice');
    expect(peek(b)).toBe('hit');
    b.clock.advance(499);
    expect(peek(b)).toBe('hit');
    b.clock.advance(1);
    expect(peek(b)).toBe('not in the cache');
    b.cache.cover(prefix, b.clock.nowMs() + 500, new Set([users]));
    expect(peek(b)).toBe('hit');
    // An earlier word that comes late takes nothing back.
    b.cache.cover(prefix, b.clock.nowMs() - 1, tables);
    expect(peek(b)).toBe('hit');
  });

  it('each table of an answer counts, and a table that comes or goes at once', () => {
    const b = bench({ outOfBandWrites });
    const both = [users, orders, catalogTag];
    const untilMs = b.clock.nowMs() + 10_000;
    b.cache.cover(prefix, untilMs, new Set([users]));
    expect(peek(b, both)).toMatch(/not seen/);
    b.cache.cover(prefix, untilMs, new Set([users, orders]));
    storeText(flightOf(look(b, both)), 'alice');
    expect(peek(b, both)).toBe('hit');
    b.cache.cover(prefix, untilMs, new Set([orders]));
    expect(peek(b, both)).toMatch(/not seen/);
  });

  it('another database says nothing of this one', () => {
    const b = bench({ outOfBandWrites });
    b.cache.cover('7001.6.', b.clock.nowMs() + 10_000, new Set([users]));
    expect(peek(b)).toMatch(/not seen/);
  });

  it('a write that was seen makes the answer invalid', async () => {
    const b = bench({ outOfBandWrites });
    b.cache.cover(prefix, b.clock.nowMs() + 10_000, new Set([users]));
    storeText(flightOf(look(b)), 'alice');
    await b.cache.invalidate([users], 'around');
    expect(peek(b)).toBe('not in the cache');
    expect(b.cache.stats().invalidations['around']).toBe(1);
  });

  it('without the rule, it would be shown for as long as it lives', () => {
    const b = bench({ outOfBandWrites }, { ignoresCoverage: true });
    b.cache.cover(prefix, b.clock.nowMs() + 500, new Set([users]));
    storeText(flightOf(look(b)), 'alice');
    b.clock.advance(30_000);
    expect(peek(b)).toBe('hit');
  });
});
