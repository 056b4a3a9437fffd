/**
 * The end of clients that cannot be moved, at a rolling restart: spread over the whole time, one after the other, only at a
 * boundary, the console last. Fails when all are ended at once, in mid-transaction, or not at all.
 */
import { expect, test } from 'vitest';
import { dueTimes, part, type StayingClient } from '../../src/app/parting.ts';

/** The same on each run. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    return state / 2 ** 31;
  };
}

test('each is due in its own part of the time, at random within it', () => {
  for (let seed = 1; seed <= 500; seed++) {
    const random = seeded(seed);
    const count = 1 + Math.floor(random() * 200);
    const times = dueTimes(count, 30_000, random);
    times.forEach((time, index) => {
      expect(time).toBeGreaterThanOrEqual((index / count) * 30_000);
      expect(time).toBeLessThan(((index + 1) / count) * 30_000);
    });
  }
  expect(dueTimes(0, 30_000, Math.random)).toEqual([]);
});

interface Bench {
  readonly clients: Set<StayingClient & { isIdle: boolean }>;
  /** Those that keep a server. */
  readonly keeping: Set<StayingClient>;
  /** Who has ended, with the time in ms. */
  readonly ends: { readonly who: string; readonly atMs: number }[];
  add(who: string, isIdle?: boolean, among?: Set<StayingClient>): { isIdle: boolean };
  run(overMs: number, graceMs: number): Promise<number>;
}

function bench(): Bench {
  const sinceMs = performance.now();
  const ends: { who: string; atMs: number }[] = [];
  const clients: Bench['clients'] = new Set();
  const keeping: Bench['keeping'] = new Set();
  const note = (who: string): void => void ends.push({ who, atMs: performance.now() - sinceMs });
  return {
    clients,
    keeping,
    ends,
    add(who, isIdle = true, among: Set<StayingClient> = clients) {
      const client = {
        isIdle,
        terminate: ({ sqlstate }: { sqlstate: string }) => {
          note(`${who} ${sqlstate}`);
          among.delete(client);
        },
      };
      among.add(client);
      return client;
    },
    run: (overMs, graceMs) =>
      part(
        {
          staying: () => clients,
          keeping: () => keeping,
          consoles: () => [{ close: () => note('console') }],
          random: Math.random,
        },
        overMs,
        graceMs,
      ),
  };
}

test('spread over the time, the console last', async () => {
  const { add, run, ends } = bench();
  for (let i = 0; i < 5; i++) add(`c${i}`);
  expect(await run(400, 1_000)).toBe(5);
  expect(ends.map(({ who }) => who)).toEqual([...[0, 1, 2, 3, 4].map((i) => `c${i} 57P01`), 'console']);
  expect(ends[4]!.atMs - ends[0]!.atMs).toBeGreaterThan(200);
});

test('a client in a transaction is waited for; one that logs in meanwhile is ended at the end', async () => {
  const { add, run, ends } = bench();
  const busy = add('busy', false);
  add('idle');
  const over = run(100, 5_000);
  add('late');
  setTimeout(() => (busy.isIdle = true), 300);
  expect(await over).toBe(3);
  expect(ends.map(({ who }) => who)).toEqual(['idle 57P01', 'late 57P01', 'busy 57P01', 'console']);
});

test('but not for ever, and with nobody it is over at once', async () => {
  const { add, run, ends } = bench();
  add('busy', false);
  // The busy one is cut off with the process, and has to connect again, too.
  expect(await run(50, 100)).toBe(1);
  expect(ends.map(({ who }) => who)).toEqual(['console']);
  const startedMs = performance.now();
  expect(await bench().run(60_000, 60_000)).toBe(0);
  expect(performance.now() - startedMs).toBeLessThan(5_000);
});

test('those that keep a server have until the end, then one after the other; who gives it back, or is busy, is left alone', async () => {
  const { add, run, ends, keeping } = bench();
  add('staying');
  for (let i = 0; i < 4; i++) add(`k${i}`, true, keeping);
  add('in a transaction', false, keeping);
  const freed = add('freed', true, keeping);
  setTimeout(() => keeping.delete(freed as StayingClient), 200);
  // The busy one is counted by who tries to move it.
  expect(await run(50, 1_500)).toBe(5);
  expect(ends.map(({ who }) => who)).toEqual(['staying 57P01', ...[0, 1, 2, 3].map((i) => `k${i} 57P01`), 'console']);
  expect(ends[1]!.atMs).toBeGreaterThan(900);
  expect(ends[4]!.atMs - ends[1]!.atMs).toBeGreaterThan(50);
});
