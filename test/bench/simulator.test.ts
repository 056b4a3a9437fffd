/** What the simulator says of the queue in an overload, and of the controller under steady load: in simulated time, the same in each run. */
import { describe, expect, test } from 'vitest';
import { loads } from '../../bench/simulator/loads.ts';
import { simulate, type Policy } from '../../bench/simulator/simulate.ts';

const sized = (size: number, queueTargetMs: number): Policy => ({
  name: `fixed ${size}`,
  settings: { defaultPoolSize: size, maxPoolSize: size, queueTargetMs },
  isResizing: false,
});

describe('five times what the node can do, and clients that give up after a second', () => {
  const overload = { ...loads.overload, seconds: 5 };

  test('in the order of arrival nearly every answer comes too late', async () => {
    for (const size of [10, 20]) expect((await simulate(overload, sized(size, 0))).goodput).toBeLessThan(0.3);
  });

  test('with the newest first the node works for those who still wait', async () => {
    const { goodput, p50Ms } = await simulate(overload, sized(10, 50));
    expect(goodput).toBeGreaterThan(0.9);
    expect(p50Ms).toBeLessThan(50);
  });
});

test.each([
  ['notices it although clients leave in mid-statement', 'off', 0.6],
  ['and, with resize.mode on, does as much as with the best size', 'on', 0.9],
] as const)('a pool that grows in the overload %s', async (_, mode, least) => {
  const overload = { ...loads.overload, perSecond: () => 6_000, seconds: mode === 'on' ? 12 : 6 };
  const { goodput } = await simulate(overload, { name: 'Weir', settings: {}, isResizing: true, mode });
  expect(goodput).toBeGreaterThan(least);
});

test('clients that are patient, and served within a second in the order of arrival, are never refused', async () => {
  const { refusedPerSecond, gaveUpPerSecond, p99Ms } = await simulate({ ...loads.cpu, seconds: 5 }, sized(5, 50));
  expect({ refusedPerSecond, gaveUpPerSecond }).toEqual({ refusedPerSecond: 0, gaveUpPerSecond: 0 });
  expect(p99Ms).toBeGreaterThan(50);
});

test('under a steady load the size comes to rest', async () => {
  const { resizes, resizesPerHour } = await simulate(
    { ...loads.cpu, seconds: 30 },
    { name: 'Weir', settings: {}, isResizing: true },
  );
  expect(resizes).toBeGreaterThan(0);
  expect(resizes).toBeLessThanOrEqual(10);
  expect(resizesPerHour).toBe(0);
});

const on: Policy = { name: 'Weir', settings: {}, isResizing: true, mode: 'on' };

test('with resize.mode on, as much is done as with the best fixed size, from a pool that has grown far beyond it', async () => {
  const best = await simulate({ ...loads.cpu, seconds: 30 }, sized(10, 0));
  const found = await simulate({ ...loads.cpu, seconds: 30 }, on);
  expect(found.size).toBeGreaterThan(50);
  expect(found.atOnce).toBeLessThan(15);
  // The search, which takes a third of this time, is included.
  expect(found.perSecond).toBeGreaterThan(0.93 * best.perSecond);
});

test('with resize.mode on, statements that wait for something else may run all at once', async () => {
  const load = { ...loads.wait, seconds: 20 };
  const unlimited = await simulate(load, { ...on, mode: 'off' });
  const { perSecond, p99Ms, atOnce } = await simulate(load, on);
  expect(atOnce).toBeGreaterThan(60);
  expect(perSecond).toBeGreaterThan(0.97 * unlimited.perSecond);
  expect(p99Ms).toBeLessThan(1.1 * unlimited.p99Ms);
});

const plain = (size: number): Policy => ({ ...sized(size, 0), isPlain: true });

describe('a load that changes, with resize.mode on: what the best fixed size does, which is known only afterwards', () => {
  test.each([
    ['CPU-bound and wait-bound in turns', loads.switching, 100],
    ['bursts', loads.burst, 10],
  ] as const)(
    '%s',
    async (_, load, bestSize) => {
      const best = await simulate(load, plain(bestSize));
      const { perSecond, resizesPerHour } = await simulate(load, on);
      // The search is included.
      expect(perSecond).toBeGreaterThan(0.95 * best.perSecond);
      expect(resizesPerHour).toBeLessThan(400);
    },
    120_000,
  );
});

describe('of two replicas', () => {
  const pgbouncer: Policy = { ...plain(20), loginsAtOnce: 1 };

  test('one is lost: reads go to the other at once', async () => {
    const load = { ...loads['lost-replica'], seconds: 12, isDown: (ms: number) => ms % 10_000 > 5_000 };
    const { perSecond, refusedPerSecond, gaveUpPerSecond, p99Ms } = await simulate(load, sized(20, 50));
    expect(perSecond).toBeGreaterThan(0.95 * 800);
    expect(refusedPerSecond + gaveUpPerSecond).toBeLessThan(1);
    expect(p99Ms).toBeLessThan(100);
    const inTurns = await simulate(load, pgbouncer);
    expect(inTurns.perSecond).toBeLessThan(0.9 * perSecond);
  });

  test('one is slow: it gets less', async () => {
    const load = { ...loads['slow-replica'], seconds: 12, slowness: (ms: number) => (ms % 10_000 > 5_000 ? 5 : 1) };
    const { perSecond, gaveUpPerSecond, p99Ms } = await simulate(load, sized(20, 50));
    expect(perSecond).toBeGreaterThan(0.95 * 1_000);
    expect(gaveUpPerSecond).toBeLessThan(1);
    expect(p99Ms).toBeLessThan(200);
    const inTurns = await simulate(load, pgbouncer);
    expect(inTurns.perSecond).toBeLessThan(0.95 * perSecond);
  });
});

test('after a restart everybody comes at once, and is served before giving up', async () => {
  const herd = {
    ...loads.herd,
    seconds: 9,
    isDown: (ms: number) => ms % 6_000 > 5_000,
    clients: (ms: number) => (ms % 6_000 > 5_000 ? 0 : 1_000),
  };
  for (const policy of [sized(20, 50), on]) {
    const { perSecond, refusedPerSecond, gaveUpPerSecond } = await simulate(herd, policy);
    expect(perSecond).toBeGreaterThan(700);
    expect(refusedPerSecond + gaveUpPerSecond).toBeLessThan(5);
  }
});

test('the same seed gives the same figures', async () => {
  const mixed = { ...loads.mixed, seconds: 2 };
  const weir: Policy = { name: 'Weir', settings: {}, isResizing: true };
  expect(await simulate(mixed, weir, 7)).toEqual(await simulate(mixed, weir, 7));
});
