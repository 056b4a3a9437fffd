/**
 * The resize controller over the merged figures of several workers decides exactly as over one process with the same load:
 * random loads, spread at random, the same trace. Also what workers that start, end or do not answer do to it: nothing.
 * Fails when a figure is merged wrongly, or when something unknown makes a pool larger.
 */
import { describe, expect, test } from 'vitest';
import { ResizeController, type PoolResize } from '../../src/sizing/controller.ts';
import type { LeasedPool } from '../../src/sizing/lease-types.ts';
import { MergedSamples, type SamplesOfWorker, type WorkerSample } from '../../src/sizing/merged-samples.ts';
import { PeakSlots, type PeakSlot } from '../../src/sizing/peak-slots.ts';
import type { PoolStats } from '../../src/pool/types.ts';
import { fakePoolStats } from '../console/fakes.ts';

const tickMs = 500;
const slotsPerTick = 20;
const settings = { enabled: true, targetWaitMs: 10, shrinkAfterMs: 5_000 };
const quiet = { active: 0, idle: 0, login: 0, resetting: 0, pinned: 0, waiting: 0, checkouts: 0, heldTotalMs: 0 };

/** Whole numbers by chance (mulberry32). */
class Chance {
  private state: number;

  constructor(seed: number) {
    this.state = seed + 1;
  }

  draw(from: number, to: number): number {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return from + Math.floor((((t ^ (t >>> 14)) >>> 0) / 4_294_967_296) * (to - from + 1));
  }

  /** `total` in so many parts. */
  parts(total: number, count: number): number[] {
    const cuts = Array.from({ length: count - 1 }, () => this.draw(0, total)).sort((a, b) => a - b);
    return [...cuts, total].map((cut, index) => cut - (cuts[index - 1] ?? 0));
  }
}

/** What half a second brings to a pool, in whole numbers that can be divided among workers. */
interface Moment {
  readonly active: number;
  readonly waiting: number;
  readonly pinned: number;
  readonly login: number;
  readonly resetting: number;
  readonly checkouts: number;
  readonly heldMs: number;
  readonly maxWaitMs: number;
  readonly serverFull: number;
  /** By slot. */
  readonly inUse: readonly number[];
}

interface TestPool {
  readonly name: LeasedPool;
  limit: number;
  readonly min: number;
  readonly max: number;
  checkouts: number;
  heldTotalMs: number;
}

function moment(chance: Chance, { limit }: TestPool, isBusyTime: boolean): Moment {
  const isBusy = isBusyTime && chance.draw(0, 2) > 0;
  const most = isBusy ? limit : Math.ceil(limit / 4);
  const inUse = Array.from({ length: slotsPerTick }, () => chance.draw(0, most));
  const active = chance.draw(0, most);
  const checkouts = chance.draw(0, 200);
  const waiting = isBusy ? chance.draw(0, 40) : 0;
  return {
    active,
    waiting,
    pinned: chance.draw(0, active),
    login: chance.draw(0, 2),
    resetting: chance.draw(0, 1),
    checkouts,
    heldMs: checkouts * chance.draw(1, 30),
    maxWaitMs: waiting > 0 ? chance.draw(1, 60) : 0,
    serverFull: chance.draw(0, 60) === 0 ? 1 : 0,
    inUse,
  };
}

class World {
  nowMs = 1_000_000;
  readonly chance: Chance;
  readonly connectionLimit: number;
  readonly pools: TestPool[];
  readonly counted = new Map<string, Pick<PoolStats, 'checkouts' | 'heldTotalMs'>>();

  constructor(seed: number) {
    this.chance = new Chance(seed);
    this.connectionLimit = this.chance.draw(10, 120);
    this.pools = ['app', 'web', 'jobs'].slice(0, this.chance.draw(1, 3)).map((user, index) => {
      const database = index === 2 ? 'other' : 'shop';
      const min = this.chance.draw(0, 3);
      const limit = this.chance.draw(4, 20);
      const name = { database, user, node: 'db1', server: 'db:5432' };
      return { name, limit, min, max: this.chance.draw(20, 60), checkouts: 0, heldTotalMs: 0 };
    });
  }

  statsOf({ name, limit, min, max }: TestPool, more: Partial<PoolStats>): PoolStats {
    const { database, user = '', node } = name;
    return fakePoolStats({ ...quiet, database, user, node, limit, min, max, ...more });
  }

  /** The same moment, as one process sees it. */
  whole(pool: TestPool, now: Moment): WorkerSample {
    pool.checkouts += now.checkouts;
    pool.heldTotalMs += now.heldMs;
    const { checkouts, heldTotalMs } = pool;
    const { active, waiting, pinned, login, resetting } = now;
    const stats = this.statsOf(pool, { active, waiting, pinned, login, resetting, checkouts, heldTotalMs });
    return this.sample(pool, stats, now, now.inUse);
  }

  /** Divided among workers. */
  divided(pool: TestPool, now: Moment, workers: readonly number[]): [number, WorkerSample][] {
    const { chance } = this;
    const count = workers.length;
    const slots = now.inUse.map((inUse) => chance.parts(inUse, count));
    const [active, waiting, pinned] = [now.active, now.waiting, now.pinned].map((n) => chance.parts(n, count));
    const [login, resetting, checkouts] = [now.login, now.resetting, now.checkouts].map((n) => chance.parts(n, count));
    const [full, held] = [now.serverFull, now.heldMs].map((n) => chance.parts(n, count));
    const longest = chance.draw(0, count - 1);
    return workers.map((worker, index) => {
      const key = `${worker} ${JSON.stringify(pool.name)}`;
      const before = this.counted.get(key) ?? { checkouts: 0, heldTotalMs: 0 };
      const counted = {
        checkouts: before.checkouts + (checkouts?.[index] ?? 0),
        heldTotalMs: before.heldTotalMs + (held?.[index] ?? 0),
      };
      this.counted.set(key, counted);
      const stats = this.statsOf(pool, {
        active: active?.[index] ?? 0,
        waiting: waiting?.[index] ?? 0,
        pinned: pinned?.[index] ?? 0,
        login: login?.[index] ?? 0,
        resetting: resetting?.[index] ?? 0,
        ...counted,
      });
      const maxWaitMs = index === longest ? now.maxWaitMs : chance.draw(0, now.maxWaitMs);
      const part = { ...now, maxWaitMs, serverFull: full?.[index] ?? 0 };
      const inUse = slots.map((parts) => parts[index] ?? 0);
      return [worker, this.sample(pool, stats, part, inUse)];
    });
  }

  private sample(pool: TestPool, stats: PoolStats, now: Moment, inUse: readonly number[]): WorkerSample {
    const first = (this.nowMs / tickMs) * slotsPerTick;
    const peaks = inUse.map((each, index): PeakSlot => [first + index, each]);
    const { maxWaitMs, serverFull } = now;
    const { connectionLimit } = this;
    return {
      pool: pool.name,
      stats,
      maxWaitMs,
      peaks,
      serverFull,
      defaultSize: 5,
      reserveSize: 0,
      reserveTimeoutMs: 500,
      maxDbConnections: 0,
      connectionLimit,
    };
  }
}

/** A lead, alone with its memory. */
class Lead {
  readonly merged = new MergedSamples();
  readonly controller = new ResizeController<LeasedPool>();

  decide(workers: readonly SamplesOfWorker[], nowMs: number): PoolResize<LeasedPool>[] {
    this.merged.add(workers, true);
    return this.controller.decide(this.merged.take(), settings, nowMs);
  }
}

function byWorker(
  samples: readonly (readonly [number, WorkerSample])[],
  workers: readonly number[],
): SamplesOfWorker[] {
  return workers.map((worker) => ({
    worker,
    samples: samples.filter(([of]) => of === worker).map(([, sample]) => sample),
  }));
}

const shown = (resizes: readonly PoolResize<LeasedPool>[]): string[] =>
  resizes.map(({ key, from, to, reason, why }) => `${key.user} ${from}->${to} ${reason}: ${why}`);

describe('several workers', () => {
  test('are sized as one process with the same load: 100 random histories', () => {
    let resizes = 0;
    const reasons = new Set<string>();
    for (let seed = 0; seed < 100; seed++) {
      const world = new World(seed);
      const workers = Array.from({ length: world.chance.draw(1, 5) }, (_, index) => index + 1);
      const one = new Lead();
      const several = new Lead();
      for (let tick = 0; tick < 90; tick++) {
        world.nowMs += tickMs;
        const { chance, nowMs, pools } = world;
        const moments = pools.map((pool) => [pool, moment(chance, pool, tick % 45 < 15)] as const);
        const alone = moments.map(([pool, now]) => [1, world.whole(pool, now)] as const);
        const together = moments.flatMap(([pool, now]) => world.divided(pool, now, workers));
        const expected = shown(one.decide(byWorker(alone, [1]), nowMs));
        const decided = several.decide(byWorker(together, workers), nowMs);
        if (shown(decided).join() !== expected.join())
          expect(shown(decided), `seed ${seed}, tick ${tick}`).toEqual(expected);
        for (const { key, to, reason } of decided) {
          resizes++;
          reasons.add(reason);
          for (const pool of pools) if (pool.name === key) pool.limit = to;
        }
      }
    }
    // The histories are worth something.
    expect(resizes).toBeGreaterThan(1_000);
    expect([...reasons].sort()).toEqual(['budget', 'pressure', 'server-full', 'surplus']);
  });
});

const shop: LeasedPool = { database: 'shop', user: 'app', node: 'db1', server: 'db:5432' };

function sampleOf(stats: Partial<PoolStats>, more: Partial<WorkerSample> = {}): WorkerSample {
  const { database, user = '', node } = shop;
  return {
    pool: shop,
    stats: fakePoolStats({ ...quiet, database, user, node, limit: 10, max: 40, ...stats }),
    maxWaitMs: 0,
    peaks: [],
    serverFull: 0,
    defaultSize: 5,
    reserveSize: 0,
    reserveTimeoutMs: 500,
    maxDbConnections: 0,
    connectionLimit: 100,
    ...more,
  };
}

const stats = (merged: MergedSamples): Partial<PoolStats> => merged.take()[0]?.sample.stats ?? {};

describe('merged figures', () => {
  test('what a worker had counted before it was seen is not new, nor what it counted while others were silent lost', () => {
    const merged = new MergedSamples();
    merged.add([{ worker: 1, samples: [sampleOf({ checkouts: 5_000 })] }], true);
    expect(stats(merged).checkouts).toBe(0);
    merged.add([{ worker: 1, samples: [sampleOf({ checkouts: 5_010 }, { maxWaitMs: 30, serverFull: 1 })] }], false);
    const samples = [sampleOf({ checkouts: 5_030 }, { maxWaitMs: 5, serverFull: 1 })];
    merged.add(
      [
        { worker: 1, samples },
        { worker: 2, samples: [sampleOf({ checkouts: 900 })] },
      ],
      true,
    );
    expect(merged.take()).toMatchObject([{ sample: { maxWaitMs: 30, serverFull: 2, stats: { checkouts: 30 } } }]);
  });

  test('the end of a worker takes nothing back, and its connections are not counted any more', () => {
    const merged = new MergedSamples();
    const two = (a: number, b: number): SamplesOfWorker[] => [
      { worker: 1, samples: [sampleOf({ checkouts: a, active: 3 })] },
      { worker: 2, samples: [sampleOf({ checkouts: b, active: 4 })] },
    ];
    merged.add(two(10, 20), true);
    expect(stats(merged)).toMatchObject({ checkouts: 0, active: 7 });
    merged.add(two(11, 25), false);
    merged.add([{ worker: 1, samples: [sampleOf({ checkouts: 12, active: 3 })] }], true);
    expect(stats(merged)).toMatchObject({ checkouts: 2, active: 3 });
    merged.add([{ worker: 3, samples: [] }], true);
    expect(merged.take()).toEqual([]);
  });

  test('connections in use at different moments are not added', () => {
    const merged = new MergedSamples();
    const of = (...peaks: PeakSlot[]): WorkerSample[] => [sampleOf({}, { peaks })];
    merged.add(
      [
        { worker: 1, samples: of([1, 10], [2, 3]) },
        { worker: 2, samples: of([2, 4], [3, 10]) },
      ],
      true,
    );
    expect(merged.take()[0]?.sample.peakInUse).toBe(10);
    // A slot that is in two samples of a worker counts once.
    merged.add([{ worker: 1, samples: of([4, 6]) }], false);
    merged.add(
      [
        { worker: 1, samples: of([4, 5]) },
        { worker: 2, samples: of([4, 1]) },
      ],
      true,
    );
    expect(merged.take()[0]?.sample.peakInUse).toBe(7);
  });

  test('of what workers know differently, the one counts that gives less', () => {
    const merged = new MergedSamples();
    merged.add(
      [
        { worker: 1, samples: [sampleOf({ max: 7 }, { connectionLimit: 0, maxDbConnections: 30 })] },
        { worker: 2, samples: [sampleOf({ max: 40, isPaused: true }, { connectionLimit: 50, maxDbConnections: 20 })] },
      ],
      true,
    );
    expect(merged.take()).toMatchObject([
      { connectionLimit: 50, maxDbConnections: 20, sample: { stats: { max: 7, isPaused: true } } },
    ]);
  });
});

describe('the slots of a worker', () => {
  test('have what was in use since the last note, and are given once', () => {
    const slots = new PeakSlots();
    slots.note(1_000, 2);
    slots.note(1_010, 5);
    slots.note(1_080, 3);
    expect(slots.take()).toEqual([
      [40, 5],
      [41, 3],
      [42, 3],
      [43, 3],
    ]);
    slots.note(1_081, 1);
    expect(slots.take()).toEqual([[43, 1]]);
  });

  test('do not grow if nobody takes them', () => {
    const slots = new PeakSlots();
    for (let ms = 0; ms < 60_000; ms += 20) slots.note(ms, 1);
    slots.note(600_000, 1);
    expect(slots.take().length).toBeLessThanOrEqual(80);
  });
});
