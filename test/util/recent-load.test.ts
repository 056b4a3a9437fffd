/** A load over the recent time. Fails if a lull of a second looks like a quiet minute, or an old peak never ends. */
import { expect, it } from 'vitest';
import { createManualClock } from '../../src/util/clock.ts';
import { RecentLoad } from '../../src/util/recent-load.ts';

function scene() {
  const clock = createManualClock(1_000_000);
  const load = new RecentLoad(clock.nowMs());
  const forMs = (ms: number, value: number): void => {
    for (let passed = 0; passed < ms; passed += 100) {
      clock.advance(100);
      load.note(clock.nowMs(), value);
    }
  };
  return { clock, load, forMs };
}

it('approaches the load within seconds, up and down', () => {
  const { load, forMs } = scene();
  forMs(20_000, 10);
  expect(load.average).toBeGreaterThan(9.5);
  forMs(20_000, 0);
  expect(load.average).toBeLessThan(0.5);
});

it('has the same average however often it is read', () => {
  const { clock, load } = scene();
  for (let i = 0; i < 200; i++) {
    for (let j = 0; j < 10; j++) {
      clock.advance(10);
      load.peak(clock.nowMs());
    }
    load.note(clock.nowMs(), 10);
  }
  expect(load.average).toBeGreaterThan(9.5);
});

it('keeps a peak for a minute and no longer', () => {
  const { clock, load, forMs } = scene();
  forMs(100, 7);
  forMs(58_000, 1);
  expect(load.peak(clock.nowMs())).toBe(7);
  forMs(3_000, 1);
  expect(load.peak(clock.nowMs())).toBe(1);
  expect(load.observedMs(clock.nowMs())).toBe(61_100);
});

it('forgets a peak also if nothing is noted for long', () => {
  const { clock, load, forMs } = scene();
  forMs(1_000, 7);
  clock.advance(10_000_000);
  expect(load.peak(clock.nowMs())).toBe(0);
});
