/**
 * Patterns of tags: what they match, what is refused, and that Redis is asked for the same.
 */
import { describe, expect, it } from 'vitest';
import { forRedis, matches, matchesAny, patternProblem } from '../../src/cache/tag-pattern.ts';

describe('a pattern of tags', () => {
  it.each([
    ['users', 'users', true],
    ['users', 'users2', false],
    ['user:*', 'user:42', true],
    ['user:*', 'user:', true],
    ['user:*', 'users', false],
    ['*', '', true],
    ['*:42', 'user:42', true],
    ['a*a', 'a', false],
    ['a*b*c', 'aXbXc', true],
    ['a*b*c', 'abc', true],
    ['a*bc*c', 'abc', false],
    ['*a**b*', 'xxaxbx', true],
    ['a.c', 'abc', false],
    ['[ab]', 'a', false],
    ['ü*', 'über', true],
  ])('%s and the tag %s', (pattern, tag, expected) => {
    expect(matches(pattern, tag)).toBe(expected);
  });

  it('says the same as the pattern does as a regular expression', () => {
    const texts = ['', 'a', 'b', 'ab', 'ba', 'aab', 'aba', 'abab', 'bbab', 'aabbab'];
    const patterns = ['', '*', 'a*', '*a', '*ab*', 'a*b', 'a*a*b', '*b*b*', 'ab*ab', '**', 'b**a'];
    for (const pattern of patterns) {
      const expression = new RegExp(`^${pattern.replaceAll('*', '.*')}$`);
      for (const text of texts)
        expect([pattern, text, matches(pattern, text)]).toEqual([pattern, text, expression.test(text)]);
    }
  });

  it('matches only tags of clients', () => {
    expect(matchesAny(['*'], '7001.5.r16384')).toBe(false);
    expect(matchesAny(['x', 'user:*'], 't:user:1')).toBe(true);
  });

  it('is refused if it is empty, long, or has many stars', () => {
    expect(patternProblem('user:*')).toBeUndefined();
    expect(patternProblem('')).toBe('is empty');
    expect(patternProblem('x'.repeat(201))).toBe('is longer than 200 characters');
    expect(patternProblem('*a*b*c*d*e*')).toBe('has more than 5 stars');
  });

  it('means the same to Redis', () => {
    expect(forRedis('a?[b]^-\\*')).toBe('a\\?\\[b\\]\\^\\-\\\\*');
  });
});
