/**
 * Settings by PgBouncer's names and in its units: what SET takes, and what SHOW CONFIG has on database `pgbouncer`. Times are in
 * seconds, switches 0 or 1. Called by actions.ts and show-stats.ts.
 */
import { globalKeys } from '../config/pgbouncer/keys.ts';
import { isSettingKey, settingOf, type SettingKey } from '../config/settings.ts';
import type { ValueType } from '../config/values.ts';
import type { SettingRow } from './sources.ts';

/** Those that have another name in Weir and are shown here under PgBouncer's. */
const shownKeys =
  `admin_users auth_dbname auth_file auth_hba_file auth_ident_file auth_query auth_type auth_user client_tls_ca_file
  client_tls_cert_file client_tls_key_file client_tls_sslmode server_tls_ca_file server_tls_cert_file server_tls_key_file
  server_tls_sslmode stats_users verbose`.split(/\s+/);
const renamed: ReadonlyMap<string, SettingKey> = new Map(
  shownKeys.flatMap((key) => {
    const setting = globalKeys.get(key)?.setting;
    return setting === undefined ? [] : [[key, setting] as const];
  }),
);

/** The type of one of its times; undefined: it is none, or no setting of Weir. */
function timeOf(key: string): ValueType<unknown> | undefined {
  if (!isSettingKey(key) || globalKeys.get(key)?.setting !== key) return undefined;
  const { type } = settingOf(key);
  return type.name === 'duration' ? type : undefined;
}

/** Weir's name of a setting. */
export const weirKey = (key: string): string => renamed.get(key) ?? key;

/** Why SET of a name of PgBouncer changes nothing here; undefined: it is a setting, or nobody knows it. */
export function withoutEffect(name: string): string | undefined {
  const because = globalKeys.get(name)?.because;
  return because === undefined ? undefined : `${name} has no effect here, because ${because}`;
}

const switches: Readonly<Record<string, string>> = { '0': 'false', '1': 'true' };

/** The value of a SET as Weir takes it. @param known the setting as it is now */
export function weirValue(value: string, known: SettingRow): string {
  if (known.key === 'log.level' && /^\d+$/.test(value)) return Number(value) === 0 ? 'info' : 'debug';
  if (timeOf(known.key) !== undefined && /^\d+(?:\.\d+)?$/.test(value)) return Number(value) === 0 ? '0' : `${value}s`;
  if (known.value === 'true' || known.value === 'false') return switches[value] ?? value;
  return value;
}

/** A value as Weir shows it, in PgBouncer's units. */
function inUnits(key: string, value: string): string {
  const parsed = timeOf(key)?.parse(value);
  if (parsed !== undefined && 'value' in parsed) return String(Number(parsed.value) / 1000);
  return switched[value] ?? value;
}

const switched: Readonly<Record<string, string>> = { true: '1', false: '0' };

const verbosity = (level: string): string => (level === 'debug' ? '1' : '0');

/** SHOW CONFIG on database `pgbouncer`: first what PgBouncer has, under its names, then Weir's own settings. */
export function pgbouncerConfig(settings: Iterable<SettingRow>): SettingRow[] {
  const rows = new Map(Array.from(settings, (row) => [row.key, row]));
  const theirs: SettingRow[] = [];
  const ours: SettingRow[] = [];
  for (const [key, own] of renamed) {
    const row = rows.get(own);
    if (row === undefined) continue;
    if (key === 'verbose') theirs.push({ ...row, key, value: verbosity(row.value), default: verbosity(row.default) });
    else theirs.push({ ...row, key });
  }
  const names = new Set<string>(renamed.values());
  for (const [key, row] of rows) {
    if (names.has(key)) continue;
    const shown = { ...row, value: inUnits(key, row.value), default: inUnits(key, row.default) };
    if (key.includes('.')) ours.push(row);
    else theirs.push(shown);
  }
  return [...theirs.sort((a, b) => (a.key < b.key ? -1 : 1)), ...ours];
}
