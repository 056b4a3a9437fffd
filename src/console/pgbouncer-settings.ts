/**
 * Settings by PgBouncer's names and in its units: what SET takes, and what SHOW CONFIG has on database `pgbouncer`. Times are in
 * seconds, switches 0 or 1. Called by actions.ts and show-stats.ts.
 */
import { settingFor } from '../config/pgbouncer/key.ts';
import { globalKeys } from '../config/pgbouncer/keys.ts';
import type { SettingRow } from './sources.ts';

/** Those that have another name in Weir. */
const renamed: Readonly<Record<string, string>> = {
  admin_users: 'auth.admin_users',
  auth_dbname: 'auth.dbname',
  auth_file: 'auth.file',
  auth_hba_file: 'auth.hba_file',
  auth_ident_file: 'auth.ident_file',
  auth_query: 'auth.query',
  auth_type: 'auth.type',
  auth_user: 'auth.user',
  client_tls_ca_file: 'tls.client.ca',
  client_tls_cert_file: 'tls.client.cert',
  client_tls_key_file: 'tls.client.key',
  client_tls_sslmode: 'tls.client.mode',
  server_tls_ca_file: 'tls.server.ca',
  server_tls_cert_file: 'tls.server.cert',
  server_tls_key_file: 'tls.server.key',
  server_tls_sslmode: 'tls.server.mode',
  stats_users: 'auth.stats_users',
  verbose: 'log.level',
};

/** Its times. What is not a setting of Weir is none here either. */
const inSeconds: ReadonlySet<string> = new Set(
  `client_idle_timeout client_login_timeout idle_transaction_timeout query_timeout query_wait_notify query_wait_timeout
  reserve_pool_timeout server_check_delay server_connect_timeout server_idle_timeout server_lifetime server_login_retry
  transaction_timeout`.split(/\s+/),
);

/** Weir's name of a setting. */
export const weirKey = (key: string): string => (Object.hasOwn(renamed, key) ? (renamed[key] ?? key) : key);

/** Why SET of a name of PgBouncer changes nothing here; undefined: it is a setting, or nobody knows it. */
export function withoutEffect(name: string): string | undefined {
  const key = globalKeys.get(name);
  return key?.because === undefined || settingFor(key) !== undefined
    ? undefined
    : `${name} has no effect here, because ${key.because}`;
}

const switches: Readonly<Record<string, string>> = { '0': 'false', '1': 'true' };

/** The value of a SET as Weir takes it. @param known the setting as it is now */
export function weirValue(value: string, known: SettingRow): string {
  if (known.key === 'log.level' && /^\d+$/.test(value)) return Number(value) === 0 ? 'info' : 'debug';
  if (inSeconds.has(known.key) && /^\d+(?:\.\d+)?$/.test(value)) return Number(value) === 0 ? '0' : `${value}s`;
  if (known.value === 'true' || known.value === 'false') return switches[value] ?? value;
  return value;
}

const msPer: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

function seconds(duration: string): string {
  const [, amount, unit = ''] = /^(\d+)(ms|s|m|h)$/.exec(duration) ?? [];
  return amount === undefined ? duration : String((Number(amount) * (msPer[unit] ?? 0)) / 1000);
}

const inUnits = (key: string, value: string): string =>
  inSeconds.has(key) ? seconds(value) : value === 'true' ? '1' : value === 'false' ? '0' : value;

const verbosity = (level: string): string => (level === 'debug' ? '1' : '0');

/** SHOW CONFIG on database `pgbouncer`: first what PgBouncer has, under its names, then Weir's own settings. */
export function pgbouncerConfig(settings: Iterable<SettingRow>): SettingRow[] {
  const rows = new Map(Array.from(settings, (row) => [row.key, row]));
  const theirs: SettingRow[] = [];
  const ours: SettingRow[] = [];
  for (const [key, own] of Object.entries(renamed)) {
    const row = rows.get(own);
    if (row === undefined) continue;
    if (key === 'verbose') theirs.push({ ...row, key, value: verbosity(row.value), default: verbosity(row.default) });
    else theirs.push({ ...row, key });
  }
  const names = new Set(Object.values(renamed));
  for (const [key, row] of rows) {
    if (names.has(key)) continue;
    const shown = { ...row, value: inUnits(key, row.value), default: inUnits(key, row.default) };
    if (key.includes('.')) ours.push(row);
    else theirs.push(shown);
  }
  return [...theirs.sort((a, b) => (a.key < b.key ? -1 : 1)), ...ours];
}
