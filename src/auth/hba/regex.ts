/**
 * Regular expressions of pg_hba.conf and pg_ident.conf (`/^dev_`). Accepts the syntax that has the same meaning in
 * PostgreSQL and in JavaScript. Refuses the rest, and expressions that could take very long for a name chosen by a
 * client that has not logged in. Called by rules.ts and ident.ts.
 */

export type Compiled = { readonly regex: RegExp } | { readonly problem: string };

/** The longest name in PostgreSQL, in bytes. Longer names never match, which bounds the work per name. */
export const longestMatched = 63;
const mostRepeats = 4;
const escapes = /^[dwsDWS^$.*+?()[\]{}|\\/@,:;=!"'#%&<>~_ -]$/;

/** @param source without the leading slash */
export function compileRegex(source: string): Compiled {
  const problem = problemIn(source);
  if (problem !== undefined) return { problem: `the regular expression "${source}" ${problem}` };
  try {
    return { regex: new RegExp(source, 's') };
  } catch {
    return { problem: `the regular expression "${source}" is invalid` };
  }
}

/** Matches anywhere in the name, unless the expression has ^ and $, as in PostgreSQL. */
export function matches(regex: RegExp, name: string): RegExpExecArray | null {
  return Buffer.byteLength(name) > longestMatched ? null : regex.exec(name);
}

function problemIn(source: string): string | undefined {
  let repeats = 0;
  /** Per open group: it has an alternative or a repetition inside. Repeating such a group could backtrack endlessly. */
  const groups: { isBranching: boolean }[] = [{ isBranching: false }];
  for (let at = 0; at < source.length; at++) {
    const rest = source.slice(at);
    const group = groups.at(-1);
    if (group === undefined) return 'has a ) too many';
    if (rest.startsWith('\\')) {
      if (!escapes.test(source[at + 1] ?? '')) return `has "${rest.slice(0, 2)}", which is not supported`;
      at++;
    } else if (rest.startsWith('[')) {
      const end = /^\[(?:\^|(?!\^))(?:[^\]\\[]|\\[^])+\]/.exec(rest);
      if (end === null) return 'has a bracket expression that is not supported (no [ or leading ] in it, no [:class:])';
      if (/\\[^dwsDWS\]\\^/.-]/.test(end[0])) return 'has an escape in brackets that is not supported';
      at += end[0].length - 1;
    } else if (rest.startsWith('(?')) {
      if (!rest.startsWith('(?:')) return 'has "(?", which is supported as (?: only';
      groups.push({ isBranching: false });
      at += 2;
    } else if (rest.startsWith('(')) {
      groups.push({ isBranching: false });
    } else if (rest.startsWith(')')) {
      groups.pop();
      const outer = groups.at(-1);
      if (outer === undefined) return 'has a ) too many';
      const isRepeated = /^\)(?:[*+?]|\{\d)/.test(rest);
      if (isRepeated && group.isBranching) return 'repeats a group that itself repeats or chooses';
      outer.isBranching ||= group.isBranching;
    } else if (/^(?:[*+?]|\{\d)/.test(rest)) {
      group.isBranching = true;
      if (++repeats > mostRepeats) return `has more than ${mostRepeats} repetitions`;
    } else if (rest.startsWith('|')) {
      group.isBranching = true;
    }
  }
  return groups.length === 1 ? undefined : 'has a ( without its )';
}
