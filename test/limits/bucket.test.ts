/**
 * A bucket gives out its burst at once and its rate over time, pays back what was spent without asking, and many buckets take
 * a bounded memory.
 */
import { describe, expect, it } from 'vitest';
import { Bucket } from '../../src/limits/bucket.ts';
import { Buckets } from '../../src/limits/buckets.ts';

describe('a bucket', () => {
  it('gives out its burst, and then its rate', () => {
    const bucket = new Bucket('k', 0.01, 5, 0);
    for (let i = 0; i < 5; i++) {
      expect(bucket.waitMs(0)).toBe(0);
      bucket.spend(1, 0);
    }
    expect(bucket.waitMs(0)).toBeCloseTo(100);
    expect(bucket.waitMs(60)).toBeCloseTo(40);
    expect(bucket.waitMs(100)).toBe(0);
    expect(bucket.left(10_000)).toBe(5);
  });

  it('has a token exactly when it said so, whatever the rate', () => {
    for (const perMs of [1 / 3, 1 / 7, 0.001, 13 / 3_600_000]) {
      const bucket = new Bucket('k', perMs, 1, 0);
      bucket.spend(1, 0);
      const waitMs = Math.ceil(bucket.waitMs(0));
      expect(bucket.waitMs(waitMs)).toBe(0);
      expect(bucket.waitMs(waitMs - 2 < 0 ? 0 : waitMs - 2)).toBeGreaterThan(0);
    }
  });

  it('owes what was spent without asking, for a minute at most', () => {
    const bucket = new Bucket('k', 0.01, 5, 0);
    bucket.spend(25, 0);
    expect(bucket.left(0)).toBe(-20);
    expect(bucket.waitMs(0)).toBeCloseTo(2_100);
    bucket.spend(1e9, 0);
    expect(bucket.left(0)).toBe(-600);
    expect(bucket.waitMs(0)).toBeLessThan(61_000);
  });

  it('is not filled by a clock that goes back, and never above its burst', () => {
    const bucket = new Bucket('k', 1, 5, 1_000);
    bucket.spend(3, 1_000);
    expect(bucket.left(500)).toBe(2);
    bucket.set(99, 1_000);
    expect(bucket.left(1_000)).toBe(5);
  });
});

describe('many buckets', () => {
  it('forget the full ones', () => {
    const buckets = new Buckets();
    for (let i = 0; i < 100; i++) buckets.open(`k${i}`, 0.001, 10, 0).spend(i % 2 === 0 ? 1 : 5, 0);
    for (const bucket of buckets.all()) bucket.unshared = 0;
    buckets.sweep(1_500);
    expect(buckets.size).toBe(50);
    expect(buckets.find('k0')).toBeUndefined();
    expect(buckets.find('k1')?.left(1_500)).toBe(6.5);
  });

  it('are never more than the limit: those that were not used for longest go', () => {
    const buckets = new Buckets(100);
    for (let i = 0; i < 10_000; i++) {
      buckets.open('busy', 0.001, 10, i).spend(0.001, i);
      buckets.open(`k${i}`, 1e-9, 10, i).spend(5, i);
      expect(buckets.size).toBeLessThanOrEqual(100);
    }
    expect(buckets.find('k0')).toBeUndefined();
    expect(buckets.find('k9999')).toBeDefined();
    expect(buckets.find('busy')).toBeDefined();
  });
});
