/**
 * Defaults of new sessions by ALTER ROLE ... SET and ALTER DATABASE ... SET (pg_db_role_setting), and what has changed
 * since a client logged in: a session keeps the defaults that it began with, on whatever server it runs. Called by
 * read-catalog.ts and app/session-defaults.ts.
 */
import { num, str } from './rows.ts';
import type { Row } from './rows.ts';
import type { SessionDefaults } from './types.ts';

/**
 * @param rows of each default: role (NULL: every role), database (0: every database), name and value
 * @param plain the settings among them that every client may SET: name, and the value of a session without such a default
 *   (NULL: not known)
 */
export function readSessionDefaults(rows: readonly Row[], plain: readonly Row[]): SessionDefaults {
  const ofAllRoles = new Map<string, string>();
  const byRole = new Map<string, Map<string, string>>();
  // A default for this database overrides one for every database.
  for (const isOfDatabase of [false, true]) {
    for (const row of rows) {
      if ((num(row, 'database') !== 0) !== isOfDatabase) continue;
      const role = str(row, 'role');
      let settings = role === '' ? ofAllRoles : byRole.get(role);
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
    of: (user) => new Map([...ofAllRoles, ...(byRole.get(user) ?? [])]),
  };
}

/**
 * The defaults of `user` that have changed and that a client may SET: name and value as in `before`, for a session that
 * logged in then.
 */
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

/** Do new sessions of `user` get the same defaults as before? */
export function isSameFor(before: SessionDefaults, after: SessionDefaults, user: string): boolean {
  const [was, is] = [before.of(user), after.of(user)];
  return was.size === is.size && [...was].every(([name, value]) => is.get(name) === value);
}
