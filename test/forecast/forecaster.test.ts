/**
 * What the forecaster makes of time: a bucket that was not observed, a clock that jumps forward and back, pools that come and
 * go. Fails if a jump fills buckets, if knowledge is lost by one, or if memory grows with the names of pools.
 */
import { describe, expect, test } from 'vitest';
import { Buckets, bucketMs } from '../../src/forecast/buckets.ts';
import { Forecaster, mostPools } from '../../src/forecast/forecaster.ts';
import { fakePoolStats } from '../console/fakes.ts';

const monday = Date.UTC(2026, 0, 5);
const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;
const bounds = { confidence: 0.8, aheadMs: minute };
const shop = fakePoolStats();

class World {
  readonly forecaster: Forecaster;
  nowMs = 0;
  epochMs = monday;
  readonly jumps: number[] = [];

  constructor(forecaster = new Forecaster()) {
    this.forecaster = forecaster;
    this.forecaster.pass({ epochMs: this.epochMs, nowMs: 0 });
  }

  /** @param load of the pool at a time of the day in hours */
  live(ms: number, load: (hour: number) => number, stepMs = 10_000): void {
    for (let passed = 0; passed < ms; passed += stepMs) {
      this.nowMs += stepMs;
      this.epochMs += stepMs;
      this.look(load);
    }
  }

  look(load: (hour: number) => number): void {
    const { jumpMs } = this.forecaster.pass({ epochMs: this.epochMs, nowMs: this.nowMs });
    if (jumpMs !== 0) this.jumps.push(jumpMs);
    this.forecaster.observe(shop, load((this.epochMs % day) / hour));
  }

  jump(ms: number): void {
    this.epochMs += ms;
    this.nowMs += 500;
  }
}

const office = (at: number): number => (at >= 9 && at < 17 ? 34 : 4);

/** Two days and until ten to nine on the third. */
function morning(): World {
  const world = new World();
  world.live(2 * day + 8 * hour + 50 * minute, office);
  return world;
}

describe('the clock', () => {
  test('a bucket counts when four of its five minutes were observed', () => {
    const buckets = new Buckets();
    const pass = (ms: number, nowMs = ms): unknown => buckets.pass({ epochMs: monday + ms, nowMs }).complete;
    for (let ms = 2 * minute; ms < 5 * minute; ms += 5_000) expect(pass(ms)).toBeUndefined();
    expect(pass(5 * minute)).toBeUndefined();
    for (let ms = 5 * minute; ms < 10 * minute; ms += 5_000) expect(pass(ms)).toBeUndefined();
    expect(pass(10 * minute)).toBe(monday / bucketMs + 1);
    // Nothing for two minutes.
    for (let ms = 10 * minute; ms < 13 * minute; ms += 5_000) pass(ms);
    expect(pass(15 * minute)).toBeUndefined();
  });

  test.each([
    ['forward by an hour', hour],
    ['back by an hour', -hour],
    ['forward by two minutes', 2 * minute],
    ['back by a month', -30 * day],
    ['forward by ten years', 3_650 * day],
  ])('jumps %s: it is noticed once, and what was learned stays', (_how, jumpMs) => {
    const world = morning();
    const before = world.forecaster.state();
    world.jump(jumpMs);
    world.look(() => 90);
    expect(world.jumps).toHaveLength(1);
    expect(Math.abs((world.jumps[0] ?? 0) - jumpMs)).toBeLessThan(1_000);
    world.jump(-jumpMs);
    world.look(office);
    expect(world.jumps).toHaveLength(2);
    expect(world.forecaster.state().map(({ workdays }) => workdays)).toEqual(before.map(({ workdays }) => workdays));
    world.live(9 * minute, office);
    expect(world.forecaster.predicted(shop, bounds)?.connections).toBe(34);
  });

  test('one that is corrected bit by bit does not jump', () => {
    const world = new World();
    for (let i = 0; i < 600; i++) {
      world.epochMs += 100;
      world.live(10_000, office);
    }
    expect(world.jumps).toEqual([]);
  });

  test('a machine that has slept has jumped forward, and the buckets in between are not filled', () => {
    const world = morning();
    const [before] = world.forecaster.state();
    world.epochMs += 3 * hour;
    world.look(office);
    const [after] = world.forecaster.state();
    expect(world.jumps).toHaveLength(1);
    expect(after?.workdays.updates).toBe(before?.workdays.updates);
  });
});

describe('a pool', () => {
  test('is predicted to need what is near: a minute before, not two', () => {
    const world = morning();
    world.live(8 * minute, office);
    expect(world.forecaster.predicted(shop, bounds)?.connections).toBe(4);
    world.live(minute + 10_000, office);
    expect(world.forecaster.predicted(shop, bounds)).toEqual({
      connections: 34,
      why: 'at 09:00 UTC this pool usually needs 34 (confidence 1.00)',
    });
    expect(world.forecaster.predicted(shop, { ...bounds, aheadMs: 1_000 })?.connections).toBe(4);
    // Also while the load is there, or late.
    world.live(3 * minute, () => 4);
    expect(world.forecaster.predicted(shop, bounds)?.connections).toBe(34);
  });

  test('is not predicted with too little confidence, or before two days', () => {
    const world = new World();
    world.live(day + 9 * hour, office);
    expect(world.forecaster.predicted(shop, bounds)).toBeUndefined();
    expect(world.forecaster.predicted(shop, { ...bounds, confidence: 0 })?.connections).toBe(34);
    const [row] = world.forecaster.figures(bounds);
    expect(row).toMatchObject({ now: 34, confidence: 0, warmed: 0 });
    expect(row?.why).toBe('learns: 68 % of two days from Monday to Friday were seen');
  });

  test('says in its row what is known, and for how long ahead', () => {
    const world = morning();
    world.live(9 * minute + 10_000, office);
    world.forecaster.warmed(shop, 20);
    const [row] = world.forecaster.figures(bounds);
    expect(row).toMatchObject({ database: 'shop', user: 'app', node: 'db1', now: 4, predicted: 34, warmed: 20 });
    expect(row?.atMs).toBe(monday + 2 * day + 9 * hour);
    expect(row?.day).toHaveLength(48);
  });

  test('is known after a restart', () => {
    const world = morning();
    const next = new World(new Forecaster(world.forecaster.state()));
    next.epochMs = world.epochMs + 9 * minute + 10_000;
    next.forecaster.pass({ epochMs: next.epochMs, nowMs: 500 });
    expect(next.forecaster.predicted(shop, bounds)?.connections).toBe(34);
  });

  test('is not forgotten because the clock is wrong for half an hour after the start', () => {
    const world = morning();
    const late = new World(new Forecaster(world.forecaster.state()));
    late.jump(3_650 * day);
    late.live(hour / 2, () => 4);
    late.jump(world.epochMs - late.epochMs);
    late.live(9 * minute + 10_000, office);
    expect(late.forecaster.predicted(shop, bounds)?.connections).toBe(34);
  });

  test('that nobody has used for two weeks is forgotten; one that nobody ever used is not kept', () => {
    const world = new World();
    world.forecaster.observe(fakePoolStats({ user: 'typo' }), 0);
    world.forecaster.observe(fakePoolStats({ user: 'gone' }), 3);
    world.live(6 * minute, office);
    expect(world.forecaster.state().map(({ user }) => user)).toEqual(['gone', 'app']);
    world.live(14 * day, office);
    expect(world.forecaster.state().map(({ user }) => user)).toEqual(['gone', 'app']);
    world.live(hour, office);
    expect(world.forecaster.state().map(({ user }) => user)).toEqual(['app']);
  });

  test('of a thousand others has no place, until one of them is closed', () => {
    const forecaster = new Forecaster();
    let epochMs = monday;
    const live = (users: readonly string[]): void => {
      for (let i = 0; i < 31; i++) {
        forecaster.pass({ epochMs: (epochMs += 10_000), nowMs: epochMs });
        for (const user of users) forecaster.observe(fakePoolStats({ user }), 1);
      }
    };
    live(Array.from({ length: mostPools + 500 }, (_, i) => `user ${i}`));
    expect(forecaster.state()).toHaveLength(mostPools);
    live(['a new one']);
    live(['a new one']);
    live(['a new one']);
    const users = forecaster.state().map(({ user }) => user);
    expect(users).toHaveLength(mostPools);
    expect(users).toContain('a new one');
  });
});
