/**
 * Parses the values of [databases], [users] and [peers]: key=value pairs, separated by blanks, with single quotes, in which
 * two quotes are one. Pure. Called by translate.ts.
 */

export type Pairs = { readonly pairs: ReadonlyMap<string, string> } | { readonly problem: string };

const syntax = 'syntax error in connection string';

/** A key that is there twice counts as in PgBouncer: the last one wins. */
export function parsePairs(text: string): Pairs {
  const pairs = new Map<string, string>();
  let rest = text.trim();
  while (rest !== '') {
    const head = /^([^=\s]+)\s*=\s*/.exec(rest);
    if (head === null) return { problem: `${syntax}: write key=value pairs, with blanks between them` };
    const key = head[1] ?? '';
    rest = rest.slice(head[0].length);
    const value = /^'((?:[^']|'')*)'(?!')/.exec(rest) ?? (rest.startsWith("'") ? null : /^(\S*)/.exec(rest));
    if (value === null) return { problem: `${syntax}: the quote of ${key} is not closed` };
    const found = value[1] ?? '';
    if (found === '') return { problem: `${syntax}: ${key} has no value` };
    pairs.set(key, rest.startsWith("'") ? found.replaceAll("''", "'") : found);
    rest = rest.slice(value[0].length).trimStart();
  }
  return { pairs };
}
