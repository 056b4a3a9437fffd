/** Resident memory that is not given back after it was freed must not count as used for ever; that which grows must. */
import { describe, expect, test } from 'vitest';
import { InUse } from '../../src/memory/in-use.ts';

const MB = 2 ** 20;
const limit = { bytes: 1000 * MB, from: 'memory_limit' };

class Process {
  private readonly inUse = new InUse();
  private nowMs = 0;

  /** @returns MB in use */
  note(resident: number, live: number, afterMs = 250): number {
    this.nowMs += afterMs;
    const reading = {
      residentBytes: resident * MB,
      heapUsedBytes: live * MB,
      bufferBytes: 0,
      heapLimitBytes: 4000 * MB,
    };
    return this.inUse.note(reading, limit, this.nowMs) / MB;
  }
}

describe('resident memory', () => {
  test('counts in full while it grows', () => {
    const process = new Process();
    expect(process.note(100, 40)).toBe(100);
    expect(process.note(500, 60)).toBe(500);
    expect(process.note(900, 80)).toBe(900);
  });

  test('that stays after what was in it was freed does not count', () => {
    const process = new Process();
    process.note(100, 40);
    expect(process.note(900, 800)).toBe(900);
    // Freed, but the allocator keeps all of it.
    expect(process.note(900, 200)).toBe(300);
    // The freed memory is used again.
    expect(process.note(900, 500)).toBe(600);
  });

  test('that is neither heap nor buffer counts for a while, then only as far as an idle process needs it', () => {
    const process = new Process();
    process.note(100, 40);
    expect(process.note(900, 40)).toBe(900);
    expect(process.note(900, 40, 4_000)).toBe(900);
    expect(process.note(900, 40, 2_000)).toBe(100);
    // It grows again from there: that is new.
    expect(process.note(950, 40)).toBe(950);
  });

  test('that goes up and down below its highest is noise', () => {
    const process = new Process();
    process.note(100, 40);
    process.note(900, 40);
    process.note(870, 40, 6_000);
    expect(process.note(895, 40)).toBe(100);
    expect(process.note(908, 40)).toBe(100);
    expect(process.note(915, 40)).toBe(915);
  });

  test('that grows a little beside what was freed counts without that', () => {
    const process = new Process();
    process.note(100, 40);
    process.note(900, 800);
    process.note(900, 200, 6_000);
    // More than noise, and not all of what was freed long ago with it.
    expect(process.note(915, 200)).toBe(315);
    expect(process.note(1_000, 280)).toBe(400);
  });

  test('that comes and goes with garbage does not make what was freed count again', () => {
    const process = new Process();
    process.note(100, 40);
    process.note(900, 800);
    process.note(900, 200, 6_000);
    // V8 takes new pages for garbage, and gives them back with it.
    for (let i = 0; i < 100; i++) {
      process.note(905, 205);
      process.note(900, 200);
    }
    expect(process.note(915, 205)).toBe(315);
  });

  test('that is freed and given back at once leaves nothing that is kept', () => {
    const process = new Process();
    process.note(100, 40);
    process.note(900, 800);
    process.note(300, 200, 6_000);
    expect(process.note(700, 200)).toBe(700);
  });

  test('that was given back and comes again is new', () => {
    const process = new Process();
    process.note(100, 40);
    process.note(900, 40);
    expect(process.note(300, 40, 6_000)).toBe(100);
    expect(process.note(700, 40)).toBe(700);
  });

  test('never counts for more than it is', () => {
    const process = new Process();
    process.note(100, 40);
    // Buffers that nobody has written to yet are not resident.
    expect(process.note(120, 600)).toBe(120);
  });
});
