/** How many statements at once the search settles on, for servers of which the best number is known. */
import { describe, expect, test } from 'vitest';
import { StatementMix } from '../../src/pool/statement-mix.ts';
import { StatementSearch, type SettledChange, type WorkWindow } from '../../src/sizing/statement-search.ts';

/** Work in a window with so many statements at once, as part of the most that there is. */
type Law = (running: number) => number;

/** Cores, and what each statement beyond them costs all others. */
const cores =
  (count: number, penalty: number): Law =>
  (running) =>
    Math.min(1, running / count) / (1 + penalty * Math.max(0, running - count));

interface Play {
  readonly changes: SettledChange[];
  readonly search: StatementSearch;
}

function mixOf(kind: number, { count, aloneMs }: { count: number; aloneMs: number }): StatementMix {
  const mix = new StatementMix();
  mix.add(kind, aloneMs, count);
  return mix;
}

type Figures = Omit<WorkWindow, 'mix'>;

function figures(law: Law, clients: number, limit: number, changes: Partial<Figures> = {}): Figures {
  const running = Math.min(clients, limit);
  const done = 4_000 * law(running);
  return {
    count: Math.round(done / 4),
    left: 0,
    aloneMs: done,
    latencyMs: running * 500,
    running,
    isHoldingBack: clients > limit,
    isContaminated: false,
    ...changes,
  };
}

function window(law: Law, clients: number, limit: number, changes: Partial<Figures> = {}): WorkWindow {
  const figuresNow = figures(law, clients, limit, changes);
  return { ...figuresNow, mix: mixOf(0, figuresNow) };
}

/** Statements of 20 ms that wait for something else than the server: with more at once more is done. */
function waiting(limit: number): WorkWindow {
  const now = figures((running) => running / 100, 100, limit);
  const changed = { ...now, count: Math.round(now.aloneMs / 20) + 20, latencyMs: now.aloneMs };
  return { ...changed, mix: mixOf(1, changed) };
}

function play(law: Law, clients: number, windows: number, search = new StatementSearch()): Play {
  const changes: SettledChange[] = [];
  for (let i = 0; i < windows; i++) {
    const change = search.next(window(law, clients, search.limit));
    if (change !== undefined) changes.push(change);
  }
  return { changes, search };
}

describe('settles', () => {
  test.each([
    ['8 cores', cores(8, 0.004), 8],
    ['2 cores', cores(2, 0.01), 2],
    ['32 cores', cores(32, 0.002), 32],
    ['one lock', cores(1, 0.02), 2],
  ] as const)('on what does the most with %s, from 100 clients', (_, law, best) => {
    const { search } = play(law, 100, 120);
    expect(search.base).toBeGreaterThanOrEqual(best * 0.95);
    expect(search.base).toBeLessThanOrEqual(best * 1.3);
    expect(law(search.base)).toBeGreaterThan(0.95);
  });

  test('within half a minute, and says what it has seen', () => {
    const { changes } = play(cores(8, 0.004), 100, 60);
    expect(changes[0]).toEqual({
      from: 100,
      to: 70,
      why: expect.stringMatching(/^with 70 at once 1\d\d % is done of/),
    });
    expect(changes.at(-1)?.to).toBeLessThanOrEqual(11);
  });

  test('and then changes nothing: a flat law costs no more than a few looks', () => {
    const search = play(cores(8, 0.004), 100, 120).search;
    expect(play(cores(8, 0.004), 100, 600, search).changes.length).toBeLessThanOrEqual(3);
  });

  test('never at less than two', () => {
    expect(play(() => 1, 100, 400).search.base).toBe(2);
  });
});

test('no limit where statements do not slow each other down', () => {
  const search = new StatementSearch();
  for (let i = 0; i < 200; i++)
    search.next(window((n) => n / 80, 80, search.limit, { latencyMs: 2_000, aloneMs: 2_000 }));
  expect(search.limit).toBe(Infinity);
});

test('another mix of statements, of which more at once do more: the limit follows', () => {
  const { search } = play(cores(8, 0.004), 100, 120);
  for (let i = 0; i < 60; i++) search.next(waiting(search.limit));
  expect(Math.min(search.base, 100)).toBeGreaterThan(60);
});

test('when nobody has to wait any more there is no limit, and the next time begins where this one ended', () => {
  const { search } = play(cores(8, 0.004), 100, 120);
  const { base } = search;
  expect(play(cores(8, 0.004), 4, 119, search).changes).toEqual([]);
  const over = play(cores(8, 0.004), 4, 1, search).changes;
  expect(over).toEqual([{ from: base, to: Infinity, why: 'nobody had to wait for it any more' }]);
  expect(search.limit).toBe(Infinity);
  const again = play(cores(8, 0.004), 100, 8, new StatementSearch(search.found)).changes;
  expect(again[0]?.to).toBe(base);
});

test('a limit at which hardly anything ends is given up, and comes back with what it was found for', () => {
  const { search } = play(cores(8, 0.004), 100, 120);
  const { found, base } = search;
  // They wait for a lock, or sleep: as many as may, and too few to compare anything.
  const stuck = (limit: number): WorkWindow =>
    window(cores(8, 0.004), 100, limit, { count: 3, aloneMs: 3, latencyMs: 500 * limit });
  const changes = Array.from({ length: 4 }, () => search.next(stuck(search.limit)));
  expect(changes.slice(0, 3)).toEqual([undefined, undefined, undefined]);
  expect(changes[3]).toEqual({ from: base, to: Infinity, why: 'too few statements end to tell what it is good for' });
  expect(search.limit).toBe(Infinity);
  const again = new StatementSearch(found);
  play(cores(8, 0.004), 100, 2, again);
  expect(again.limit).toBeLessThanOrEqual(2 * base);
});

test('a found limit at which hardly anything ends again is forgotten: the pool does not go back to it every other second', () => {
  let { search } = play(cores(8, 0.004), 100, 120);
  const { base } = search;
  const limits: number[] = [];
  for (let i = 0; i < 60; i++) {
    limits.push(search.limit);
    // Of a few, all wait for a lock that the others have to give back.
    const count = search.limit === Infinity ? 60 : 3;
    const now = { count, aloneMs: count * 4, latencyMs: 500 * Math.min(100, search.limit) };
    const change = search.next(window(cores(8, 0.004), 100, search.limit, now));
    if (change?.to === Infinity) search = new StatementSearch(search.found);
  }
  expect(limits.slice(20).filter((limit) => limit <= 2 * base)).toEqual([]);
});

test('a moment in which nothing ends changes nothing', () => {
  const { search } = play(cores(8, 0.004), 100, 120);
  const { base } = search;
  for (let i = 0; i < 3; i++) search.next(window(cores(8, 0.004), 100, search.limit, { count: 0, aloneMs: 0 }));
  play(cores(8, 0.004), 100, 1, search);
  for (let i = 0; i < 3; i++) search.next(window(cores(8, 0.004), 100, search.limit, { count: 0, aloneMs: 0 }));
  expect(search.base).toBe(base);
});

test('a mix that comes back has its limit at once', () => {
  const { search } = play(cores(8, 0.004), 100, 120);
  const { base } = search;
  for (let i = 0; i < 20; i++) search.next(waiting(search.limit));
  expect(search.base).toBeGreaterThan(2 * base);
  const { changes } = play(cores(8, 0.004), 100, 2, search);
  expect(changes).toEqual([{ from: expect.any(Number), to: base, why: 'as it was found for such statements before' }]);
});

test('where so many run at once that every client leaves before its answer, fewer are tried until they do not', () => {
  // With more than forty at once nobody waits for the end.
  const search = new StatementSearch();
  for (let i = 0; i < 60; i++) {
    const isInVain = search.limit > 40;
    search.next(window(cores(8, 0.004), 100, search.limit, isInVain ? { count: 0, left: 100, aloneMs: 0 } : {}));
  }
  expect(search.base).toBeLessThanOrEqual(12);
});

test('short statements must not starve: as much work with far fewer statements is not as good', () => {
  const search = new StatementSearch();
  for (let i = 0; i < 60; i++) {
    // The work is that of a few long statements, whatever the limit; the short ones need room beside them.
    const running = Math.min(60, search.limit);
    const mix = mixOf(0, { count: 20, aloneMs: 3_900 });
    mix.add(1, 100, 50 * running);
    const now = figures(() => 1, 60, search.limit, { latencyMs: 10_000, count: 50 * running });
    search.next({ ...now, mix });
  }
  expect(search.base).toBeGreaterThan(50);
});

test.each([
  ['Weir itself was busy', { isContaminated: true }],
  ['too few statements ended', { count: 3 }],
])('windows in which %s decide nothing', (_, changes) => {
  const search = new StatementSearch();
  for (let i = 0; i < 200; i++) search.next(window(cores(8, 0.004), 100, search.limit, changes));
  expect(search.limit).toBe(Infinity);
});

test('what is known of a statement changes with the limit where all wait for one lock, and is no other mix', () => {
  const search = new StatementSearch();
  const changes: SettledChange[] = [];
  let leastMs = Infinity;
  for (let i = 0; i < 400; i++) {
    const running = Math.min(60, search.limit);
    // A lock of 4 ms that all want: each waits for all that came before it.
    leastMs = Math.min(leastMs * 1.05, 4 * running);
    const count = 125;
    const change = search.next(
      window(() => 1, 60, search.limit, { count, aloneMs: count * leastMs, latencyMs: count * 4 * running }),
    );
    if (change !== undefined) changes.push(change);
  }
  expect(changes.filter(({ why }) => why.startsWith('as it was found'))).toEqual([]);
});

test('the end of a burst, in which the last clients are served, is not taken for what a number does', () => {
  const { search } = play(cores(8, 0.004), 100, 120);
  const { base } = search;
  for (let burst = 0; burst < 40; burst++) {
    play(cores(8, 0.004), 100, 9, search);
    // They went in the middle of the window.
    search.next(window(cores(8, 0.004), 100, search.limit, { running: 3, count: 200, aloneMs: 800 }));
    play(cores(8, 0.004), 2, 20, search);
  }
  expect(search.base).toBeGreaterThanOrEqual(base * 0.7);
  expect(search.base).toBeLessThanOrEqual(base * 1.3);
});
