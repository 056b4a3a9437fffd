/**
 * Settings by PgBouncer's names and in its units: what SET takes, and what SHOW CONFIG has on database `pgbouncer`. Times are in
 * seconds, switches 0 or 1, lists have commas. Called by set.ts and show-stats.ts.
 */
import { globalKeys } from '../config/pgbouncer/keys.ts';
import { convert } from '../config/pgbouncer/values.ts';
import { isSettingKey, settingOf, type SettingKey } from '../config/settings.ts';
import type { ValueType } from '../config/values.ts';
import type { SettingRow } from './sources.ts';

/** Those that have another name in Weir. */
const renamed: ReadonlyMap<string, SettingKey> = new Map(
  [...globalKeys].flatMap(([key, { setting }]) =>
    setting === undefined || setting === key ? [] : [[key, setting] as const],
  ),
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

/**
 * The value of a SET as Weir takes it.
 * @param known the setting as it is now
 * @param name as the operator calls it, which may be PgBouncer's name
 */
export function weirValue(value: string, known: SettingRow, name = known.key): string {
  if (known.key === 'log.level' && /^\d+$/.test(value)) return Number(value) === 0 ? 'info' : 'debug';
  if (timeOf(known.key) !== undefined && /^\d+(?:\.\d+)?$/.test(value)) return Number(value) === 0 ? '0' : `${value}s`;
  if (known.value === 'true' || known.value === 'false') return switches[value] ?? value;
  const row = globalKeys.get(name);
  if (row?.kind === 'protocols' && isSettingKey(known.key)) {
    const versions = convert(row.kind, value, known.key);
    return 'value' in versions && Array.isArray(versions.value) ? versions.value.join(',') : value;
  }
  // PgBouncer's words for "as if it was not set", such as `secure`.
  if (row?.kind === 'text' && row.inert.includes(value)) return known.default;
  return value === '' && (row?.kind === 'text' || row?.kind === 'file') ? 'null' : value;
}

/** A value as Weir shows it, in PgBouncer's units. */
function inUnits(key: string, value: string): string {
  const parsed = timeOf(key)?.parse(value);
  if (parsed !== undefined && 'value' in parsed) return String(Number(parsed.value) / 1000);
  return switched[value] ?? asText(value);
}

const switched: Readonly<Record<string, string>> = { true: '1', false: '0' };

/** PgBouncer has no brackets, and nothing where nothing is set. */
function asText(value: string): string {
  return value === 'null' ? '' : value.replace(/^\[([^]*)\]$/, '$1');
}

const verbosity = (level: string): string => (level === 'debug' ? '1' : '0');

/** A setting of another name, as PgBouncer shows it. */
function underItsName(key: string, row: SettingRow): SettingRow {
  if (key === 'verbose') return { ...row, key, value: verbosity(row.value), default: verbosity(row.default) };
  const [unset] = globalKeys.get(key)?.inert ?? [];
  const standard = unset ?? asText(row.default);
  return { ...row, key, value: row.value === row.default ? standard : asText(row.value), default: standard };
}

/** PgBouncer has two settings for what is one in Weir. */
function listening({ value, default: standard, isChangeable }: SettingRow, addresses: string): SettingRow[] {
  const parts = (text: string): [host: string, port: string] => {
    const at = text.lastIndexOf(':');
    return [text.slice(0, at).replace(/^\[([^]*)\]$/, '$1'), text.slice(at + 1)];
  };
  const [[host, port], [standardHost, standardPort]] = [parts(value), parts(standard)];
  const all = addresses === 'null' ? host : asText(addresses);
  return [
    { key: 'listen_addr', value: all, default: standardHost, isChangeable },
    { key: 'listen_port', value: port, default: standardPort, isChangeable },
  ];
}

/** SHOW CONFIG on database `pgbouncer`: first what PgBouncer has, under its names, then Weir's own settings. */
export function pgbouncerConfig(settings: Iterable<SettingRow>): SettingRow[] {
  const rows = new Map(Array.from(settings, (row) => [row.key, row]));
  const theirs: SettingRow[] = [];
  const ours: SettingRow[] = [];
  for (const [key, own] of renamed) {
    const row = rows.get(own);
    if (row !== undefined && own !== 'listen') theirs.push(underItsName(key, row));
  }
  const listen = rows.get('listen');
  if (listen !== undefined) theirs.push(...listening(listen, rows.get('listen_addresses')?.value ?? 'null'));
  const names = new Set<string>([...renamed.values(), 'listen_addresses']);
  for (const [key, row] of rows) {
    if (names.has(key)) continue;
    const shown = { ...row, value: inUnits(key, row.value), default: inUnits(key, row.default) };
    if (key.includes('.')) ours.push(row);
    else theirs.push(shown);
  }
  return [...theirs.sort((a, b) => (a.key < b.key ? -1 : 1)), ...ours];
}
