/** A client with much to say gives the others a turn. Fails if the slice never ends, or ends with every message. */
import { expect, test } from 'vitest';
import { TimeSlice } from '../../src/request/time-slice.ts';

function scene(): { shift: TimeSlice; clock: { nowMs: number; looks: number }; ends: () => number } {
  const clock = { nowMs: 0, looks: 0 };
  let ends = 0;
  const shift = new TimeSlice(
    () => (clock.looks++, clock.nowMs),
    () => ends++,
  );
  return { shift, clock, ends: () => ends };
}

/** Deals with messages that take `eachMs` until the shift is over or `most` were dealt with; says how many there were. */
function work(shift: TimeSlice, clock: { nowMs: number }, eachMs: number, most: number): number {
  shift.begin();
  let count = 0;
  while (count < most && !shift.isOver) {
    clock.nowMs += eachMs;
    shift.worked();
    count++;
  }
  return count;
}

test('a few messages cost no look at the clock', () => {
  const { shift, clock } = scene();
  expect(work(shift, clock, 0.01, 10)).toBe(10);
  shift.end();
  expect(clock.looks).toBe(0);
  expect(shift.isOver).toBe(false);
});

test('after some milliseconds it is over, and goes on in another turn', async () => {
  const { shift, clock, ends } = scene();
  const count = work(shift, clock, 0.1, 10_000);
  expect(count).toBeLessThan(100);
  expect(shift.isOver).toBe(true);
  expect(ends()).toBe(0);
  await new Promise((resolve) => setImmediate(resolve));
  expect(ends()).toBe(1);
  expect(shift.isOver).toBe(false);
  expect(work(shift, clock, 0.1, 10_000)).toBe(count);
});

test('a chunk that has taken a while is the last one of its turn', () => {
  const { shift, clock } = scene();
  expect(work(shift, clock, 0.02, 100)).toBe(100);
  shift.end();
  expect(shift.isOver).toBe(true);
});

test('quick messages go on, however many they are', () => {
  const { shift, clock } = scene();
  for (let chunk = 0; chunk < 100; chunk++) {
    expect(work(shift, clock, 0.0001, 5_000)).toBe(5_000);
    shift.end();
    expect(shift.isOver).toBe(false);
  }
});
