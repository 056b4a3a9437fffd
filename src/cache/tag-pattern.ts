/**
 * Patterns of the tags that clients name: `*` stands for any characters, also none; everything else for itself. Used by
 * invalidation.ts, the transports, and whoever takes patterns from people. Pure.
 */

/** Of one command or message. */
export const maxPatterns = 64;
const maxPatternChars = 200;
/** Some matchers need time that is exponential in the number of stars. */
const maxStars = 5;

/** @returns why it is no pattern, in words; undefined: it is one */
export function patternProblem(pattern: string): string | undefined {
  if (pattern === '') return 'is empty';
  if (pattern.length > maxPatternChars) return `is longer than ${maxPatternChars} characters`;
  return pattern.split('*').length - 1 > maxStars ? `has more than ${maxStars} stars` : undefined;
}

export function matches(pattern: string, text: string): boolean {
  const [first = '', ...rest] = pattern.split('*');
  const last = rest.pop();
  if (last === undefined) return text === first;
  if (!text.startsWith(first) || text.length < first.length + last.length || !text.endsWith(last)) return false;
  let at = first.length;
  const end = text.length - last.length;
  for (const part of rest) {
    const found = text.indexOf(part, at);
    if (found === -1 || found + part.length > end) return false;
    at = found + part.length;
  }
  return true;
}

/** @param tag as the cache names it, with the prefix `t:` */
export function matchesAny(patterns: readonly string[], tag: string): boolean {
  return tag.startsWith('t:') && patterns.some((pattern) => matches(pattern, tag.slice(2)));
}

/** The pattern for SCAN ... MATCH of Redis, in which more characters are special. */
export function forRedis(pattern: string): string {
  return pattern.replace(/[\\?[\]^-]/g, '\\$&');
}
