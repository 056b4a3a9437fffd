/**
 * Several processes with one limit: what each spends, the others hear of, through the supervisor's buckets; together they give
 * out what one would, but for what is under way. What cannot be heard of stops nobody.
 */
import { describe, expect, it, vi } from 'vitest';
import { CentralBuckets } from '../../src/limits/central.ts';
import { Exchange } from '../../src/limits/exchange.ts';
import type { SharedBuckets, Spent } from '../../src/limits/types.ts';
import { createManualClock, type ManualClock } from '../../src/util/clock.ts';
import { limiterOf, who, type Rig } from './support.ts';

const everybody = { user: '*', statements: '100/s', burst: 80 };

interface Fleet {
  readonly clock: ManualClock;
  readonly rigs: readonly Rig[];
  readonly central: CentralBuckets;
  /** Everything that was said, in messages. */
  readonly said: (readonly Spent[])[];
}

/** Processes on one clock, whose messages take no time; `wrap` stands between them and the supervisor. */
function fleetOf(
  count: number,
  wrap: (shared: SharedBuckets) => SharedBuckets | undefined = (shared) => shared,
): Fleet {
  const clock = createManualClock(1_000);
  const central = new CentralBuckets(clock.nowMs);
  const said: (readonly Spent[])[] = [];
  const shared = wrap({
    exchange: (spent) => {
      said.push(spent);
      return Promise.resolve(central.exchange(spent));
    },
  });
  const rigs = Array.from({ length: count }, () => {
    const exchange = new Exchange({ shared: () => shared, nowMs: clock.nowMs });
    return limiterOf([everybody], { nowMs: clock.nowMs, onSpent: exchange.onSpent });
  });
  return { clock, rigs, central, said };
}

/** Lets timers, messages and answers of 100 ms happen, on both clocks. */
async function tick(clock: ManualClock): Promise<void> {
  clock.advance(100);
  await vi.advanceTimersByTimeAsync(100);
}

describe('several processes', () => {
  it('give out together what one would, and little more', async () => {
    vi.useFakeTimers();
    try {
      const { clock, rigs } = fleetOf(4);
      let passed = 0;
      for (let ms = 0; ms < 5_000; ms += 10) {
        for (const rig of rigs) for (let i = 0; i < 2; i++) if (rig.run() === undefined) passed++;
        clock.advance(10);
        await vi.advanceTimersByTimeAsync(10);
      }
      // Alone, each would have given out 580.
      expect(passed).toBeGreaterThanOrEqual(570);
      expect(passed).toBeLessThanOrEqual(580 + 80);
    } finally {
      vi.useRealTimers();
    }
  });

  it('say what they have spent once, and nothing while nobody spends', async () => {
    vi.useFakeTimers();
    try {
      const { clock, rigs, said } = fleetOf(2);
      for (let i = 0; i < 3; i++) rigs[0]?.run();
      for (let i = 0; i < 20; i++) await tick(clock);
      expect(said.map((list) => list.map(({ spent }) => spent))).toEqual([[3]]);
    } finally {
      vi.useRealTimers();
    }
  });

  it('a new process hears of what was spent before it began; a new supervisor learns it from those who have spent', async () => {
    vi.useFakeTimers();
    try {
      const { clock, rigs } = fleetOf(2);
      const [old, young] = rigs as [Rig, Rig];
      for (let i = 0; i < 80; i++) old.run();
      await vi.advanceTimersByTimeAsync(100);
      young.run();
      await vi.advanceTimersByTimeAsync(100);
      expect(young.run()).toBeDefined();

      const next = new CentralBuckets(clock.nowMs);
      const [bucket] = old.limiter.figures(undefined)[0]?.whom ?? [];
      const left = bucket?.tokens ?? NaN;
      expect(next.exchange([{ key: 'k', perMs: 0.1, burst: 80, spent: 1, left: left - 1 }])).toEqual([left - 1]);
    } finally {
      vi.useRealTimers();
    }
  });

  it.each([
    ['fails', (): SharedBuckets => ({ exchange: () => Promise.reject(new Error('gone')) })],
    ['says too little', (): SharedBuckets => ({ exchange: () => Promise.resolve([]) })],
    ['says nonsense', (): SharedBuckets => ({ exchange: () => Promise.resolve([NaN]) })],
    ['is nowhere', (): undefined => undefined],
  ])('go on by themselves while what they share %s', async (_how, wrap) => {
    vi.useFakeTimers();
    try {
      const { clock, rigs } = fleetOf(1, wrap);
      const [rig] = rigs as [Rig];
      let passed = 0;
      for (let i = 0; i < 50; i++) {
        for (let j = 0; j < 20; j++) if (rig.run() === undefined) passed++;
        await tick(clock);
      }
      expect(passed).toBe(80 + 490);
    } finally {
      vi.useRealTimers();
    }
  });

  it('wait for no answer, ask nothing more until it has come, and spend no memory on it', async () => {
    vi.useFakeTimers();
    try {
      let asked = 0;
      const { clock, rigs } = fleetOf(1, () => ({ exchange: () => (asked++, new Promise(() => undefined)) }));
      const [rig] = rigs as [Rig];
      for (let i = 0; i < 100; i++) {
        expect(rig.run(who(`u${i}`))).toBeUndefined();
        await tick(clock);
      }
      expect(asked).toBe(1);
    } finally {
      vi.useRealTimers();
    }
  });

  it('the next supervisor goes on with the buckets of the one before', () => {
    const before = new CentralBuckets(() => 1_000);
    before.exchange([{ key: 'k', perMs: 0.1, burst: 80, spent: 50, left: 30 }]);
    before.exchange([{ key: 'full', perMs: 0.1, burst: 80, spent: 0, left: 80 }]);
    const state = structuredClone(before.state());
    expect(state).toEqual([{ key: 'k', perMs: 0.1, burst: 80, left: 30 }]);
    const next = new CentralBuckets(() => 9_000, state);
    expect(next.exchange([{ key: 'k', perMs: 0.1, burst: 80, spent: 1, left: 79 }])).toEqual([29]);
  });

  it('the buckets of the supervisor are bounded', () => {
    const central = new CentralBuckets(() => 0, [], 10);
    for (let i = 0; i < 100; i++) central.exchange([{ key: `k${i}`, perMs: 1e-6, burst: 5, spent: 4, left: 1 }]);
    expect(central.size).toBe(10);
  });
});
