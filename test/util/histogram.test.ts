/** Quantiles and shares from a histogram: at a bound, within a bucket, above all bounds, and of nothing. */
import { describe, expect, it } from 'vitest';
import { countAbove, quantileOf, totalOf } from '../../src/util/histogram.ts';

const bounds = [0.01, 0.05, 0.1];
const counts = [50, 40, 8, 2];

describe('countAbove', () => {
  it('is exact at a bound', () => {
    expect(countAbove(bounds, counts, 0.05)).toBe(10);
    expect(countAbove(bounds, counts, 0.01)).toBe(50);
    expect(countAbove(bounds, counts, 0.1)).toBe(2);
  });

  it('takes the values of a bucket for spread evenly', () => {
    expect(countAbove(bounds, counts, 0.03)).toBeCloseTo(10 + 20);
    expect(countAbove(bounds, counts, 0.005)).toBeCloseTo(50 + 25);
  });

  it('counts nothing below, and only what is above all bounds beyond them', () => {
    expect(countAbove(bounds, counts, 0)).toBe(100);
    expect(countAbove(bounds, counts, 5)).toBe(2);
    expect(countAbove(bounds, [0, 0, 0, 0], 0.05)).toBe(0);
  });
});

describe('quantileOf', () => {
  it('interpolates in its bucket', () => {
    expect(quantileOf(bounds, counts, 0.5)).toBeCloseTo(0.01);
    expect(quantileOf(bounds, counts, 0.7)).toBeCloseTo(0.03);
  });

  it('is the last bound beyond it, and unknown of nothing', () => {
    expect(quantileOf(bounds, counts, 0.999)).toBe(0.1);
    expect(quantileOf(bounds, [0, 0, 0, 5], 0.5)).toBe(0.1);
    expect(quantileOf(bounds, [0, 0, 0, 0], 0.5)).toBeUndefined();
  });
});

it('totalOf adds up', () => expect(totalOf(Float64Array.from(counts))).toBe(100));
