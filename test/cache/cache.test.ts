/** The rules of consistency in one process, without Redis: each test names the rule it holds. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Lookup } from '../../src/cache/types.ts';
import { bench, catalogTag, flightOf, key, orders, prefix, said, storeText, users } from './support.ts';

const read = key('SELECT * FROM users');

function fill(b: ReturnType<typeof bench>, text = 'alice', tags: readonly string[] = [users, catalogTag]): void {
  const session = b.cache.newFreshness();
  storeText(flightOf(b.cache.lookup(read, tags, Infinity, session, b.ticks)), text);
}

function look(b: ReturnType<typeof bench>, session = b.cache.newFreshness(), tags = [users, catalogTag]): Lookup {
  return b.cache.lookup(read, tags, Infinity, session, b.ticks);
}

/** What a request gets; a flight it was given is given up at once. */
function peek(b: ReturnType<typeof bench>, session = b.cache.newFreshness(), tags = [users, catalogTag]): Lookup {
  const lookup = look(b, session, tags);
  if (lookup.kind === 'miss') lookup.flight?.abandon();
  return lookup;
}

describe('hits', () => {
  it('gives back the frames that were stored', () => {
    const b = bench();
    const frames = [Buffer.from('T...'), Buffer.from('D...'), Buffer.from('C...')];
    flightOf(look(b)).store(frames, 12);
    const hit = look(b);
    expect(hit).toMatchObject({ kind: 'hit', level: 1 });
    expect(hit.kind === 'hit' && hit.parts.map(String)).toEqual(['T...', 'D...', 'C...']);
    expect(b.cache.stats()).toMatchObject({ entries: 1, hits: 1, misses: 1, stores: 1, redis: 'off' });
  });

  it('stores copies: what the socket does with its chunk afterwards does not matter', () => {
    const b = bench();
    const chunk = Buffer.alloc(65_536, 'x');
    flightOf(look(b)).store([chunk.subarray(10, 20)], 10);
    chunk.fill('y');
    const hit = look(b);
    expect(said(hit)).toBe('xxxxxxxxxx');
    expect(hit.kind === 'hit' && hit.parts[0]?.buffer.byteLength).toBe(10);
  });

  it('lives no longer than cache.ttl, and no longer than the request allows', () => {
    const b = bench({ ttlMs: 1_000 });
    fill(b);
    b.clock.advance(500);
    expect(peek(b).kind).toBe('hit');
    expect(b.cache.lookup(read, [users, catalogTag], 400, b.cache.newFreshness(), b.ticks).kind).toBe('miss');
    b.clock.advance(500);
    expect(peek(b).kind).toBe('miss');
  });

  it('is shown for several times its time to live to whom that does not matter', () => {
    const b = bench({ ttlMs: 1_000 });
    fill(b);
    const tags = [users, catalogTag];
    const old = (ttlMs = Infinity) => b.cache.lookup(read, tags, ttlMs, b.cache.newFreshness(), b.ticks, false, 4).kind;
    b.clock.advance(3_999);
    expect(old()).toBe('hit');
    // Without a hit, it is asked for once.
    expect([old(3_000), peek(b).kind]).toEqual(['miss', 'wait']);
    b.clock.advance(1);
    expect(old()).toBe('wait');
  });

  it('spreads the ends of lives below cache.ttl', () => {
    const b = bench({ ttlMs: 1_000 }, { random: () => 1 });
    fill(b);
    b.clock.advance(901);
    expect(peek(b).kind).toBe('miss');
  });

  it('refuses answers above max_entry_size, whatever size is claimed', () => {
    const b = bench({ maxEntrySizeBytes: 100 });
    flightOf(look(b)).store([Buffer.alloc(60), Buffer.alloc(60)], 1);
    expect(peek(b).kind).toBe('miss');
    expect(b.cache.stats().stores).toBe(0);
  });

  it('stays below max_memory and counts what it threw out', () => {
    const b = bench({ maxMemoryBytes: 50_000 });
    for (let i = 0; i < 100; i++) {
      const lookup = b.cache.lookup(key(`SELECT ${i}`), [users], Infinity, b.cache.newFreshness(), b.ticks);
      storeText(flightOf(lookup), 'x'.repeat(1_000));
    }
    const stats = b.cache.stats();
    expect(stats.bytes).toBeLessThanOrEqual(50_000);
    expect(stats.entries).toBeGreaterThan(10);
    expect(stats.evictions).toBe(100 - stats.entries);
  });

  it('is nothing but ticks when it is off', () => {
    const b = bench({ enabled: false });
    expect(b.cache.isEnabled).toBe(false);
    const session = b.cache.newFreshness();
    expect(look(b, session)).toEqual({ kind: 'miss', flight: undefined, why: 'the cache is off' });
    b.cache.noteRead([users], session);
    expect(b.cache.lastWrite([users], b.ticks)).toBe(0);
    b.cache.close([users], false, prefix, session).committed(7, b.ticks);
    expect(b.cache.lastWrite([users], b.ticks)).toBe(7);
    expect(b.cache.lastWrite([orders], b.ticks)).toBe(0);
  });
});

describe('rule 1: stamps are read before the query is sent and checked on every hit', () => {
  it('does not store what was asked for before a write', () => {
    const b = bench();
    const flight = flightOf(look(b));
    b.cache.close([users], false, prefix, b.cache.newFreshness()).committed(1, b.ticks);
    storeText(flight, 'stale');
    expect(peek(b).kind).toBe('miss');
  });

  it('never shows an entry again after a write to one of its tags', () => {
    const b = bench();
    fill(b);
    b.cache.close([orders], false, prefix, b.cache.newFreshness()).committed(1, b.ticks);
    expect(said(peek(b))).toBe('alice');
    b.cache.close([users], false, prefix, b.cache.newFreshness()).committed(2, b.ticks);
    expect(peek(b).kind).toBe('miss');
  });

  it('ends with the catalog, and with a write of everything in the database', () => {
    const b = bench();
    fill(b);
    b.cache.close([catalogTag], false, prefix, b.cache.newFreshness()).committed(1, b.ticks);
    expect(peek(b).kind).toBe('miss');
    fill(b);
    b.cache.close([], true, 'another.', b.cache.newFreshness()).committed(1, b.ticks);
    expect(peek(b).kind).toBe('hit');
    b.cache.close([], true, prefix, b.cache.newFreshness()).committed(1, b.ticks);
    expect(peek(b).kind).toBe('miss');
    expect(b.cache.stats().invalidations).toMatchObject({ catalog: 1, local: 2 });
  });

  it('takes a write of very many tables for a write of everything', () => {
    const b = bench();
    fill(b);
    const many = Array.from({ length: 200 }, (_, i) => `${prefix}r${i}`);
    b.cache.close(many, false, prefix, b.cache.newFreshness()).committed(1, b.ticks);
    expect(peek(b).kind).toBe('miss');
  });

  it("does not show one request's answer to another with other tags", () => {
    const b = bench();
    fill(b);
    const withHint = [users, catalogTag, 't:user:42'];
    expect(peek(b, b.cache.newFreshness(), withHint).kind).toBe('miss');
  });
});

describe('rule 2: close, commit, open', () => {
  it('neither shows nor stores anything while closed', () => {
    const b = bench();
    fill(b);
    const early = flightOf(b.cache.lookup(key('other'), [users], Infinity, b.cache.newFreshness(), b.ticks));
    const guard = b.cache.close([users], false, prefix, b.cache.newFreshness());
    expect(said(peek(b))).toBe('miss: a write to one of its tables is under way');
    expect((look(b) as { flight: unknown }).flight).toBeUndefined();
    storeText(early, 'raced');
    guard.rolledBack();
    expect(said(peek(b))).toBe('alice');
    expect(b.cache.lookup(key('other'), [users], Infinity, b.cache.newFreshness(), b.ticks).kind).toBe('miss');
  });

  it('stays closed until the last of several writes is decided', () => {
    const b = bench();
    fill(b);
    const one = b.cache.close([users], false, prefix, b.cache.newFreshness());
    const two = b.cache.close([users], false, prefix, b.cache.newFreshness());
    one.rolledBack();
    one.rolledBack();
    expect(peek(b).kind).toBe('miss');
    two.rolledBack();
    expect(peek(b).kind).toBe('hit');
  });

  it('a write in a database that nobody can name closes the answers of all', () => {
    const b = bench();
    fill(b);
    const guard = b.cache.close([], true, '', b.cache.newFreshness());
    expect(said(peek(b))).toBe('miss: a write to one of its tables is under way');
    guard.rolledBack();
    expect(said(peek(b))).toBe('alice');
    b.cache.close([], true, '', b.cache.newFreshness()).committed(4, b.ticks);
    expect(peek(b).kind).toBe('miss');
    expect(b.cache.lastWrite([users], b.ticks)).toBe(4);
    expect(b.cache.lastWriteInDatabase(prefix, b.ticks)).toBe(4);
    expect(b.cache.lastWriteInDatabase('7001.6.', b.ticks)).toBe(4);
  });

  describe('with an unknown outcome', () => {
    beforeEach(() => void vi.useFakeTimers());
    afterEach(() => void vi.useRealTimers());

    it('stays closed, and out of reach of every replica, until it is decided; then voids', async () => {
      const b = bench();
      fill(b);
      let decide = (): void => undefined;
      const decided = new Promise<void>((resolve) => (decide = resolve));
      b.cache.close([users], false, prefix, b.cache.newFreshness()).unknown(decided);
      vi.advanceTimersByTime(24 * 3600 * 1000);
      await Promise.resolve();
      expect(said(peek(b))).toContain('under way');
      expect(b.ticks.lsnOf(b.cache.lastWrite([users], b.ticks))).toBeUndefined();
      expect(b.cache.lastWrite([orders], b.ticks)).toBe(0);
      expect(b.cache.stats().undecided).toBe(1);
      decide();
      await decided;
      expect(b.cache.stats().undecided).toBe(0);
      flightOf(look(b)).abandon();
      expect(b.cache.lastWrite([users], b.ticks)).toBe(b.ticks.tick);
    });
  });
});

describe('rule 3: tags carry the tick of their last write', () => {
  it('asks for a replica that has replayed the newest write of any tag', () => {
    const b = bench();
    expect(b.cache.lastWrite([users, orders], b.ticks)).toBe(0);
    expect(flightOf(look(b)).needLsn()).toBe(0);
    const tick = b.ticks.next();
    b.cache.close([users], false, prefix, b.cache.newFreshness()).committed(tick, b.ticks);
    expect(b.cache.lastWrite([orders, users], b.ticks)).toBe(tick);
    expect(b.cache.lastWrite([orders], b.ticks)).toBe(0);
    const flight = flightOf(look(b));
    expect(flight.needLsn()).toBeUndefined();
    b.ticks.probe(500);
    expect(flight.needLsn()).toBe(500);
  });

  it('a write of everything counts for every table', () => {
    const b = bench();
    b.cache.close([], true, prefix, b.cache.newFreshness()).committed(3, b.ticks);
    expect(b.cache.lastWrite([orders], b.ticks)).toBe(3);
  });

  it('knows the newest write to anything in a database, also of tables that it forgot, and with the cache off', () => {
    for (const enabled of [true, false]) {
      const b = bench({ enabled }, { maxTags: 10 });
      expect(b.cache.lastWriteInDatabase(prefix, b.ticks)).toBe(0);
      b.cache.close([users], false, prefix, b.cache.newFreshness()).committed(3, b.ticks);
      b.cache.close([orders], false, prefix, b.cache.newFreshness()).committed(2, b.ticks);
      b.cache.close([orders], false, prefix, b.cache.newFreshness()).rolledBack();
      for (let i = 0; i < 100; i++) b.cache.lastWrite([`${prefix}r${i}`], b.ticks);
      expect(b.cache.lastWriteInDatabase(prefix, b.ticks)).toBe(3);
      expect(b.cache.lastWriteInDatabase('other.1:', b.ticks)).toBe(b.ticks.tick);
    }
  });

  it('comes down from "primary only" after a promotion', () => {
    const b = bench();
    b.cache.close([users], false, prefix, b.cache.newFreshness()).committed(1, b.ticks);
    b.ticks.probe(100);
    const old = b.ticks.lsnOf.bind(b.ticks);
    b.ticks.lsnOf = (tick) => (tick < 2 ? Infinity : old(tick));
    expect(b.cache.lastWrite([users], b.ticks)).toBe(2);
    const flight = flightOf(look(b));
    expect(flight.needLsn()).toBeUndefined();
    b.ticks.probe(50);
    expect(flight.needLsn()).toBe(50);
  });

  it('forgets idle tags beyond its bound, and takes them for written when they come back', () => {
    const b = bench({}, { maxTags: 10 });
    fill(b);
    for (let i = 0; i < 100; i++) b.cache.lastWrite([`${prefix}r${i}`], b.ticks);
    expect(b.cache.lastWrite([`${prefix}r1`], b.ticks)).toBe(b.ticks.tick);
    // In use by an entry: still known.
    expect(peek(b).kind).toBe('hit');
  });

  it('never forgets a closed tag', () => {
    const b = bench({}, { maxTags: 10 });
    const guard = b.cache.close([users], false, prefix, b.cache.newFreshness());
    for (let i = 0; i < 100; i++) b.cache.lastWrite([`${prefix}r${i}`], b.ticks);
    expect(said(peek(b))).toContain('under way');
    guard.rolledBack();
    flightOf(look(b)).abandon();
  });
});

describe('rule 4: single flight', () => {
  it('lets everybody with the same stamps wait for one answer', async () => {
    const b = bench();
    const first = flightOf(look(b));
    const others = [look(b), look(b)];
    expect(others.map((other) => other.kind)).toEqual(['wait', 'wait']);
    storeText(first, 'alice');
    for (const other of others) expect(said(await resultOf(other))).toBe('alice');
    expect(b.cache.stats()).toMatchObject({ hits: 2, misses: 1 });
  });

  it('a flight that took off before a write is not joined after it', () => {
    const b = bench();
    const old = flightOf(look(b));
    b.cache.close([users], false, prefix, b.cache.newFreshness()).committed(1, b.ticks);
    const fresh = flightOf(look(b));
    storeText(old, 'stale');
    storeText(fresh, 'fresh');
    expect(said(peek(b))).toBe('fresh');
  });

  it('who waits when the write happens goes on by itself', async () => {
    const b = bench();
    const old = flightOf(look(b));
    const waiting = look(b);
    b.cache.close([users], false, prefix, b.cache.newFreshness()).committed(1, b.ticks);
    storeText(old, 'stale');
    const result = await resultOf(waiting);
    flightOf(result).abandon();
  });

  it('an abandoned flight lets everybody go', async () => {
    const b = bench();
    const first = flightOf(look(b));
    const waiting = [look(b), look(b), look(b)];
    first.abandon();
    const results = await Promise.all(waiting.map(resultOf));
    expect(results.every(({ kind }) => kind === 'miss')).toBe(true);
    storeText(first, 'too late');
    expect(peek(b).kind).not.toBe('hit');
  });

  describe('that does not come back', () => {
    beforeEach(() => void vi.useFakeTimers());
    afterEach(() => void vi.useRealTimers());

    it('is not waited for longer than the bound, nor joined again', async () => {
      const b = bench();
      flightOf(look(b));
      const waiting = look(b);
      b.clock.advance(5_000);
      await vi.advanceTimersByTimeAsync(5_000);
      const second = flightOf(await resultOf(waiting));
      const third = look(b);
      storeText(second, 'from the second');
      expect(said(await resultOf(third))).toBe('from the second');
    });
  });
});

describe('rule 12: reads never go back within a session', () => {
  it('after it read a table that was being written, an answer filled before is not shown', () => {
    const b = bench();
    fill(b, 'old');
    const session = b.cache.newFreshness();
    const guard = b.cache.close([users], false, prefix, b.cache.newFreshness());
    // It may have seen the commit already: the acknowledgement is still on its way.
    b.cache.noteRead([users, catalogTag], session);
    expect(peek(b, session).kind).toBe('miss');
    guard.rolledBack();
    // Nothing was committed, so nothing newer than "old" can have been seen.
    expect(said(peek(b, session))).toBe('old');
  });

  it('a quiet table costs the session nothing', () => {
    const b = bench();
    fill(b);
    const session = b.cache.newFreshness();
    for (let i = 0; i < 50; i++) b.cache.noteRead([`${prefix}r${i}`, users], session);
    expect(peek(b, session).kind).toBe('hit');
  });

  it('holds for more tables than the session remembers one by one', () => {
    const b = bench();
    const session = b.cache.newFreshness();
    const tables = Array.from({ length: 40 }, (_, i) => `${prefix}r${i}`);
    const ask = (table: string, who = b.cache.newFreshness()): Lookup =>
      b.cache.lookup(key(`from ${table}`), [table], Infinity, who, b.ticks);
    for (const table of tables) storeText(flightOf(ask(table)), 'old');
    const guard = b.cache.close(tables, false, prefix, b.cache.newFreshness());
    const other = tables.map((table) => b.cache.close([table], false, prefix, b.cache.newFreshness()));
    for (const table of tables) b.cache.noteRead([table], session);
    guard.rolledBack();
    expect(ask(tables[0]!, session).kind).toBe('miss');
    for (const each of other) each.committed(1, b.ticks);
    for (const table of tables) expect(ask(table, session).kind).toBe('miss');
  });
});

/** A trigger may have been made around Weir: until that is known not to be so, what was not written may have been. */
describe('after an own write of which nobody knows yet what it has done besides', () => {
  const other = [`${prefix}r9`];
  const ask = (b: ReturnType<typeof bench>, who = b.cache.newFreshness()): Lookup =>
    b.cache.lookup(key('select other'), other, Infinity, who, b.ticks);

  function wrote(): {
    b: ReturnType<typeof bench>;
    session: ReturnType<ReturnType<typeof bench>['cache']['newFreshness']>;
  } {
    const b = bench();
    storeText(flightOf(ask(b)), 'before');
    const session = b.cache.newFreshness();
    expect(said(ask(b, session))).toBe('before');
    b.cache.close([users], false, prefix, session).committed(1, b.ticks);
    return { b, session };
  }

  it('nothing older is shown to the session, though it is to others', () => {
    const { b, session } = wrote();
    expect(session.isUnproven).toBe(true);
    expect(ask(b, session).kind).toBe('miss');
    expect(said(ask(b))).toBe('before');
  });

  it('until it is proven', () => {
    const { b, session } = wrote();
    session.proven();
    expect(said(ask(b, session))).toBe('before');
  });

  it('what the primary has answered since is shown, what a replica has is not', () => {
    const { b, session } = wrote();
    storeText(flightOf(ask(b, session)), 'of a replica', false);
    storeText(flightOf(ask(b, session)), 'of the primary');
    expect(said(ask(b, session))).toBe('of the primary');
  });

  it('a rollback asks for nothing', () => {
    const b = bench();
    storeText(flightOf(ask(b)), 'before');
    const session = b.cache.newFreshness();
    b.cache.close([users], false, prefix, session).rolledBack();
    expect(said(ask(b, session))).toBe('before');
  });
});

describe('modes', () => {
  it('ttl: writes of others do not end an entry, its own do, and operators and DDL do', async () => {
    const b = bench({ mode: 'ttl' });
    const mine = b.cache.newFreshness();
    fill(b);
    b.cache.close([users], false, prefix, b.cache.newFreshness()).committed(1, b.ticks);
    expect(said(peek(b, mine))).toBe('alice');
    b.cache.close([users], false, prefix, mine).committed(2, b.ticks);
    expect(peek(b, mine).kind).toBe('miss');
    expect(peek(b).kind).toBe('hit');
    fill2(b, mine);
    expect(said(peek(b, mine))).toBe('newer');
    await b.cache.invalidate([users]);
    expect(peek(b).kind).toBe('miss');
    fill(b);
    b.cache.close([catalogTag], true, prefix, mine).committed(3, b.ticks);
    expect(peek(b).kind).toBe('miss');
  });

  it('bounded: writes end entries, reads are not remembered', () => {
    const b = bench({ mode: 'bounded' });
    fill(b);
    const session = b.cache.newFreshness();
    const guard = b.cache.close([users], false, prefix, b.cache.newFreshness());
    b.cache.noteRead([users], session);
    guard.rolledBack();
    expect(peek(b, session).kind).toBe('hit');
    b.cache.close([users], false, prefix, b.cache.newFreshness()).committed(1, b.ticks);
    expect(peek(b, session).kind).toBe('miss');
  });

  function fill2(b: ReturnType<typeof bench>, session: ReturnType<typeof b.cache.newFreshness>): void {
    storeText(flightOf(look(b, session)), 'newer');
  }
});

describe('tags of clients', () => {
  it('that a transaction invalidates: no answer from before its commit is shown or stored after it', () => {
    const b = bench();
    const tags = [users, 't:news'];
    const flight = flightOf(look(b, b.cache.newFreshness(), tags));
    const guard = b.cache.close(['t:news'], false, '', b.cache.newFreshness());
    expect(look(b, b.cache.newFreshness(), tags)).toMatchObject({ kind: 'miss', flight: undefined });
    storeText(flight, 'old');
    guard.committed(b.ticks.next(), b.ticks);
    expect(look(b, b.cache.newFreshness(), tags).kind).toBe('miss');
    expect(b.cache.stats()).toMatchObject({ entries: 0, invalidations: { sql: 1, local: 0 } });
  });
});

describe('operators', () => {
  it("voids a table, a user's tag, or everything, and has replicas catch up first", async () => {
    const b = bench();
    const tags = [users, 't:news'];
    fill(b, 'one', tags);
    await b.cache.invalidate([users]);
    expect(peek(b, b.cache.newFreshness(), tags).kind).toBe('miss');
    fill(b, 'two', tags);
    await b.cache.invalidate(['t:news']);
    const flight = flightOf(look(b, b.cache.newFreshness(), tags));
    expect(flight.needLsn()).toBeUndefined();
    b.ticks.probe(9);
    expect(flight.needLsn()).toBe(9);
    storeText(flight, 'three');
    await b.cache.invalidateAll();
    expect(peek(b, b.cache.newFreshness(), tags).kind).toBe('miss');
    expect(b.cache.stats()).toMatchObject({ entries: 0, bytes: 0, invalidations: { operator: 3 } });
    expect(b.cache.lastWrite([orders], b.ticks)).toBe(b.ticks.tick);
  });
});

async function resultOf(lookup: Lookup): Promise<Lookup> {
  return lookup.kind === 'wait' ? lookup.result : lookup;
}
