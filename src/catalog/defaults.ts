/**
 * What ALTER ROLE ... SET and ALTER DATABASE ... SET give to new sessions, as one picture of pg_db_role_setting, and what a
 * session that began under an older one has to be given to stay as it was. Read by read-catalog.ts.
 */
import { num, str } from './rows.ts';
import type { Row } from './rows.ts';
import type { SessionDefaults } from './types.ts';

/**
 * @param rows role (NULL: all), database (0: all), name and value of each setting
 * @param plain name, and value for sessions without any such setting (NULL: not known), of those that every client may SET
 */
export function readSessionDefaults(rows: readonly Row[], plain: readonly Row[]): SessionDefaults {
  const everybody = new Map<string, string>();
  const byRole = new Map<string, Map<string, string>>();
  // What is said of this database counts for more.
  for (const isOfDatabase of [false, true]) {
    for (const row of rows) {
      if ((num(row, 'database') !== 0) !== isOfDatabase) continue;
      const role = str(row, 'role');
      let settings = role === '' ? everybody : byRole.get(role);
      if (settings === undefined) byRole.set(role, (settings = new Map()));
      settings.set(str(row, 'name').toLowerCase(), str(row, 'value'));
    }
  }
  return {
    key: [...rows]
      .map((row) => JSON.stringify([row['role'], num(row, 'database'), row['name'], row['value']]))
      .sort()
      .join('\n'),
    plain: new Map(plain.map((row) => [str(row, 'name'), row['value'] == null ? undefined : str(row, 'value')])),
    of: (user) => new Map([...everybody, ...(byRole.get(user) ?? [])]),
  };
}

/** Settings, with their values of `before`, that new sessions of `user` have otherwise since, and that can be SET. */
export function keptDefaults(before: SessionDefaults, after: SessionDefaults, user: string): [string, string][] {
  const [was, is] = [before.of(user), after.of(user)];
  const kept: [string, string][] = [];
  for (const name of new Set([...was.keys(), ...is.keys()])) {
    if (was.get(name) === is.get(name)) continue;
    const value = was.get(name) ?? before.plain.get(name) ?? after.plain.get(name);
    if (value !== undefined && (before.plain.has(name) || after.plain.has(name))) kept.push([name, value]);
  }
  return kept;
}

/** Are sessions of `user` that begin now the same as before? */
export function isSameFor(before: SessionDefaults, after: SessionDefaults, user: string): boolean {
  const [was, is] = [before.of(user), after.of(user)];
  return was.size === is.size && [...was].every(([name, value]) => is.get(name) === value);
}
