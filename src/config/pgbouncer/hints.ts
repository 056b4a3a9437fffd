/**
 * What to write in YAML instead of a key of PgBouncer: for messages about unknown keys. Pure. Called by gather.ts.
 */
import { databaseKeys, nodeKeys, userKeys } from './entry-keys.ts';
import { settingFor, type IniKey } from './key.ts';
import { globalKeys } from './keys.ts';

/** @param key as in the file: `pool_size`, `databases.shop.pool_size`, `auth.auth_file`; undefined: PgBouncer has no such key */
export function hintFor(key: string): string | undefined {
  const parts = key.split('.');
  const name = parts.at(-1) ?? '';
  const isDatabase = parts[0] === 'databases' && parts.length > 2;
  if (isDatabase && nodeKeys.includes(name)) {
    return `${name} of PgBouncer is in the URL of the node here: primary: postgres://user:password@host:5432/database`;
  }
  if (name === 'listen_addr' || name === 'listen_port') return `${name} of PgBouncer is listen: HOST:PORT here`;
  const row = rowOf(name, isDatabase);
  if (row === undefined) return undefined;
  const setting = settingFor(row, isDatabase ? 'database' : 'everywhere');
  if (setting === undefined && row.because === undefined)
    return row.setting === name ? undefined : `${name} of PgBouncer is ${row.setting} here, for all databases`;
  if (setting === undefined) return `${name} of PgBouncer has no effect here, because ${row.because ?? ''}`;
  if (setting === name || setting.endsWith(`.${name}`)) return undefined;
  return `${name} of PgBouncer is ${[setting, ...row.also].join(' and ')} here`;
}

function rowOf(name: string, isDatabase: boolean): IniKey | undefined {
  const [first, ...others] = isDatabase ? [databaseKeys, globalKeys] : [globalKeys, databaseKeys, userKeys];
  return first?.get(name) ?? others.map((table) => table.get(name)).find((row) => row !== undefined);
}
