/**
 * User name maps (pg_ident.conf): which database users may log in with a certificate of a given name. Called by load.ts
 * and auth/authenticator.ts. Source: PostgreSQL manual, "User Name Maps".
 */
import { readLines } from './lines.ts';
import { compileRegex, matches } from './regex.ts';
import { isKeyword, type Token } from './tokens.ts';

interface Mapping {
  readonly systemUser: string | RegExp;
  readonly databaseUser:
    | { readonly kind: 'all' }
    | { readonly kind: 'name'; readonly name: string }
    | { readonly kind: 'regex'; readonly regex: RegExp };
}

/** By name of the map. */
export type IdentMaps = ReadonlyMap<string, readonly Mapping[]>;

export interface IdentFile {
  readonly maps: IdentMaps;
  readonly problems: readonly string[];
}

export function readIdentFile(file: string): IdentFile {
  const { lines, problems } = readLines(file);
  const maps = new Map<string, Mapping[]>();
  for (const { place, fields } of lines) {
    const [name, system, user, ...more] = fields;
    const isComplete = [name, system, user].every((field) => field?.length === 1) && more.length === 0;
    const mapping = isComplete
      ? parseMapping(system?.[0] as Token, user?.[0] as Token)
      : 'is not "map-name system-username database-username", one of each';
    if (typeof mapping === 'string') {
      problems.push(`${place}: ${mapping}`);
      continue;
    }
    const map = name?.[0]?.text ?? '';
    const known = maps.get(map);
    if (known === undefined) maps.set(map, [mapping]);
    else known.push(mapping);
  }
  return { maps, problems };
}

function parseMapping(system: Token, user: Token): Mapping | string {
  const systemUser = nameOrRegex(system);
  const isRegex = systemUser instanceof RegExp;
  if (typeof systemUser === 'object' && !isRegex) return systemUser.problem;
  if (isKeyword(user, 'all')) return { systemUser, databaseUser: { kind: 'all' } };
  if (!user.isQuoted && user.text.startsWith('+')) {
    return `${user.text}: Weir does not know who is a member of a role: name the users, or use a regular expression`;
  }
  const value = nameOrRegex(user);
  if (value instanceof RegExp) return { systemUser, databaseUser: { kind: 'regex', regex: value } };
  if (typeof value === 'object') return value.problem;
  if (isRegex && value.includes('\\1') && !/(?:^|[^\\])\((?!\?)/.test(system.text)) {
    return `${user.text}: the regular expression ${system.text} has no parentheses for \\1`;
  }
  return { systemUser, databaseUser: { kind: 'name', name: value } };
}

function nameOrRegex({ text }: Token): string | RegExp | { readonly problem: string } {
  if (!text.startsWith('/')) return text;
  const compiled = compileRegex(text.slice(1));
  return 'regex' in compiled ? compiled.regex : compiled;
}

/**
 * @param systemUser the name in the certificate
 * @param user the database user of the log-in
 */
export function isMapped(map: readonly Mapping[], systemUser: string, user: string): boolean {
  return map.some((mapping) => {
    const { systemUser: system, databaseUser } = mapping;
    const found = typeof system === 'string' ? undefined : matches(system, systemUser);
    if (found === null || (typeof system === 'string' && system !== systemUser)) return false;
    if (databaseUser.kind === 'all') return true;
    if (databaseUser.kind === 'regex') return matches(databaseUser.regex, user) !== null;
    return nameFor(databaseUser.name, found) === user;
  });
}

/** Replaces \1 by what the regular expression has matched; undefined, which is no user, if that is nothing. */
function nameFor(name: string, found: RegExpExecArray | undefined): string | undefined {
  if (found === undefined || !name.includes('\\1')) return name;
  const [, part] = found;
  return part === undefined || part === '' ? undefined : name.replace('\\1', () => part);
}
