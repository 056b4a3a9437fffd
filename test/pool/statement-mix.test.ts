/** When two windows have the same mix of statements, and how much work one is of the other. */
import { describe, expect, test } from 'vitest';
import { StatementMix } from '../../src/pool/statement-mix.ts';

/** [template, count, ms that each takes alone] */
function mixOf(...parts: (readonly [number, number, number])[]): StatementMix {
  const mix = new StatementMix();
  for (const [template, count, eachMs] of parts) mix.add(template, count * eachMs, count);
  return mix;
}

describe('the same mix', () => {
  test.each([
    ['the same statements', mixOf([0, 100, 2], [1, 10, 20]), mixOf([0, 110, 2], [1, 9, 20]), true],
    ['with half of them', mixOf([0, 100, 2], [1, 10, 20]), mixOf([0, 50, 2], [1, 5, 20]), true],
    ['other statements', mixOf([0, 100, 2]), mixOf([1, 100, 2]), false],
    ['many long ones among them', mixOf([0, 1000, 1], [1, 1, 100]), mixOf([0, 900, 1], [1, 100, 100]), false],
    ['one whose time has become half', mixOf([0, 100, 2], [1, 100, 20]), mixOf([0, 100, 2], [1, 100, 10]), true],
    ['nothing and nothing', mixOf(), mixOf(), true],
    ['nothing and something', mixOf(), mixOf([0, 1, 1]), false],
  ] as const)('%s', (_, one, other, isLike) => {
    expect(one.isLike(other)).toBe(isLike);
    expect(other.isLike(one)).toBe(isLike);
  });
});

describe('work', () => {
  test('counts a statement the same on both sides, whatever its time was there', () => {
    expect(mixOf([0, 50, 4]).partOf(mixOf([0, 100, 1]))).toBeCloseTo(0.5);
  });

  test('counts a long one for more than a short one', () => {
    expect(mixOf([0, 100, 1], [1, 10, 30]).partOf(mixOf([0, 100, 1]))).toBeCloseTo(4);
  });

  test('of nothing is all of nothing', () => {
    expect(mixOf([0, 1, 1]).partOf(mixOf())).toBe(1);
  });

  test('adds up over windows', () => {
    const both = mixOf([0, 10, 1]);
    both.addAll(mixOf([0, 10, 1], [33, 5, 2]));
    expect(both.partOf(mixOf([0, 20, 1], [33, 5, 2]))).toBeCloseTo(1);
  });
});
