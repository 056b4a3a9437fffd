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

test('clients that are patient, and served within a second in the order of arrival, are never refused', async () => {
  const { refusedPerSecond, gaveUpPerSecond, p99Ms } = await simulate({ ...loads.cpu, seconds: 5 }, sized(5, 50));
  expect({ refusedPerSecond, gaveUpPerSecond }).toEqual({ refusedPerSecond: 0, gaveUpPerSecond: 0 });
  expect(p99Ms).toBeGreaterThan(50);
});

test('under a steady load the size comes to rest', async () => {
  const { resizes } = await simulate({ ...loads.cpu, seconds: 30 }, { name: 'Weir', settings: {}, isResizing: true });
  expect(resizes).toBeGreaterThan(0);
  expect(resizes).toBeLessThanOrEqual(10);
});

test('with resize.mode on, as much is done as with the best fixed size, from a pool that has grown far beyond it', async () => {
  const best = await simulate({ ...loads.cpu, seconds: 30 }, sized(10, 0));
  const weir: Policy = { name: 'Weir', settings: {}, isResizing: true, mode: 'on' };
  const found = await simulate({ ...loads.cpu, seconds: 30 }, weir);
  expect(found.size).toBeGreaterThan(50);
  expect(found.atOnce).toBeLessThan(15);
  // The search, which takes a third of this time, is included.
  expect(found.perSecond).toBeGreaterThan(0.93 * best.perSecond);
  const waiting = await simulate({ ...loads.wait, seconds: 10 }, weir);
  expect(waiting.atOnce).toBe(Infinity);
});

test('the same seed gives the same figures', async () => {
  const mixed = { ...loads.mixed, seconds: 2 };
  const weir: Policy = { name: 'Weir', settings: {}, isResizing: true };
  expect(await simulate(mixed, weir, 7)).toEqual(await simulate(mixed, weir, 7));
});
