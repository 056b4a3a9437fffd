/**
 * Makes a configuration of Weir from a pgbouncer.ini: the keys of its sections by the tables of keys, PgBouncer's defaults where
 * Weir's are others, a note for each key without effect, and a problem with its place for each that PgBouncer would refuse, too.
 * Called by load.ts and by `weir convert`.
 */
import { isDatabaseKey } from '../databases.ts';
import { settingOf, type SettingKey } from '../settings.ts';
import { meantHint } from '../suggest.ts';
import { formatHostPort } from '../values.ts';
import { parsePairs } from './connection-string.ts';
import { Draft, type Path } from './draft.ts';
import { readIni, type IniLine } from './ini.ts';
import { globalKeys } from './keys.ts';
import { databaseKeys, nodeKeys, peerAddressKeys, peerKeys, userKeys } from './entry-keys.ts';
import { settingFor, type IniKey } from './key.ts';
import { nodesOf } from './nodes.ts';
import { completeGlobals, weirsOwn } from './special.ts';
import { convert, integerOf, refusalOf } from './values.ts';

export type { Draft } from './draft.ts';

/** Never throws. */
export function translateIni(text: string, label: string): Draft {
  const draft = new Draft(label);
  const { lines, problems } = readIni(text, label);
  draft.problems.push(...problems);
  const of = (section: string): IniLine[] => lines.filter((line) => line.section === section);
  // The last one of a key counts.
  const globals = new Map(of('pgbouncer').map((line) => [line.key, line]));
  for (const line of globals.values()) global(line, draft);
  for (const [key, row] of globalKeys) {
    const { absent, also } = row;
    const found = settingFor(row);
    if (absent === undefined || found === undefined || globals.has(key)) continue;
    for (const setting of [found, ...also]) {
      draft.set(setting.split('.'), absent, { place: undefined, text: "PgBouncer's default" });
    }
  }
  completeGlobals(globals, draft);
  const databases = new Map(of('databases').map((line) => [line.key, line]));
  for (const line of databases.values()) database(line, draft);
  for (const line of of('users')) withPairs(line, draft, userKeys, 'user parameter', ofUser(line.key));
  for (const line of of('peers')) peer(line, draft);
  weirsOwn(globals, draft);
  return draft;
}

function invalid({ place, key, value }: IniLine, why: string, isSecret = false): string {
  const shown = isSecret ? '' : `invalid value "${value.slice(0, 80)}" for `;
  return `${place}: ${shown}parameter ${key}: ${why}`;
}

function global(line: IniLine, draft: Draft): void {
  const key = globalKeys.get(line.key);
  if (key === undefined) {
    const hint = meantHint(line.key, globalKeys.keys());
    draft.problems.push(`${line.place}: unknown parameter: pgbouncer/${line.key.slice(0, 80)}${hint}`);
    return;
  }
  put(line, key, draft, []);
}

/** Sets what the key means below `above`, or says why it means nothing. */
function put(line: IniLine, key: IniKey, draft: Draft, above: Path): void {
  const setting = settingFor(key, above.length === 0 ? 'everywhere' : 'database');
  const refused = refusalOf(key.kind, line.value);
  if (refused !== undefined) draft.problems.push(invalid(line, refused));
  else if (setting !== undefined && !isAsUnset(line, key, setting)) {
    const converted = convert(key.kind, line.value, setting);
    if ('refused' in converted) draft.problems.push(invalid(line, converted.refused));
    else {
      const { note, value } = converted;
      if (note !== undefined) draft.notes.push(`${line.place}: ${line.key} = ${line.value} ${note}`);
      for (const each of [setting, ...key.also]) draft.set([...above, ...partsOf(each, above)], value, originOf(line));
    }
  } else if (!key.inert.includes(line.value)) draft.notes.push(withoutEffect(line, key));
}

/** Below a database, a key is one name, dots or not. */
function partsOf(setting: string, above: Path): Path {
  return above.length === 0 ? setting.split('.') : [setting];
}

function originOf({ place, key, value }: IniLine): { place: string; text: string } {
  return { place, text: `${place}: ${key} = ${value}` };
}

function withoutEffect({ place, key }: IniLine, { because }: IniKey): string {
  return `${place}: ${key} has no effect here, because ${because ?? 'there is nothing like it'}`;
}

/** As for a database, but the names are PgBouncer's; the setting for all says in which form the value is. */
function ofUser(user: string): (line: IniLine, key: IniKey, draft: Draft, name: string) => void {
  return (line, key, draft, name) => like(line, key, draft, ['users', user, name]);
}

function like(line: IniLine, key: IniKey, draft: Draft, path: Path): void {
  const setting = settingFor(key);
  if (setting === undefined) return unset(line, key, draft);
  const converted = convert(key.kind, line.value, setting);
  if ('refused' in converted) draft.problems.push(invalid(line, converted.refused));
  else draft.set(path, converted.value, originOf(line));
}

/** A word such as `default` for the ciphers: it is as if the key was not there. */
function isAsUnset({ value }: IniLine, { kind, inert }: IniKey, setting: SettingKey): boolean {
  return kind === 'text' && inert.includes(value) && 'value' in settingOf(setting).type.parse(null);
}

function unset(line: IniLine, key: IniKey, draft: Draft): void {
  const refused = refusalOf(key.kind, line.value);
  if (refused !== undefined) draft.problems.push(invalid(line, refused));
  else if (!key.inert.includes(line.value)) draft.notes.push(withoutEffect(line, key));
}

/** Calls `use` for each pair of the value whose key is in the table; names the others. */
function withPairs(
  line: IniLine,
  draft: Draft,
  table: ReadonlyMap<string, IniKey>,
  what: string,
  use: (pair: IniLine, key: IniKey, draft: Draft, name: string) => void,
  others: readonly string[] = [],
): ReadonlyMap<string, string> | undefined {
  const parsed = parsePairs(line.value);
  if ('problem' in parsed) {
    draft.problems.push(invalid(line, parsed.problem, true));
    return undefined;
  }
  for (const [name, value] of parsed.pairs) {
    const key = table.get(name);
    // -1 says that it is not set.
    if (key !== undefined && !(value === '-1' && key.kind !== 'text'))
      use({ ...line, key: `${line.key}: ${name}`, value }, key, draft, name);
    else if (key === undefined && !others.includes(name)) {
      const hint = meantHint(name, [...table.keys(), ...others]);
      draft.problems.push(`${line.place}: ${line.key}: unrecognized ${what}: ${name.slice(0, 80)}${hint}`);
    }
  }
  return parsed.pairs;
}

function peer(line: IniLine, draft: Draft): void {
  const pairs = withPairs(line, draft, peerKeys, 'connection parameter', unset, peerAddressKeys);
  if (pairs === undefined) return;
  const [host, port = '6432'] = [pairs.get('host'), pairs.get('port')];
  if (host === undefined) draft.problems.push(`${line.place}: ${line.key}: a peer needs a host`);
  else if (refusalOf('int', port) !== undefined)
    draft.problems.push(`${line.place}: ${line.key}: invalid port: ${port}`);
  else draft.set(['peers', line.key], formatHostPort({ host, port: integerOf(port) ?? 0 }), originOf(line));
}

function database(line: IniLine, draft: Draft): void {
  const above = ['databases', line.key];
  if (line.key === 'pgbouncer') {
    draft.problems.push(`${line.place}: database name "pgbouncer" is reserved`);
    return;
  }
  const text = `${line.place}: ${line.key} = ${withoutPassword(line.value)}`;
  draft.set(above, {}, { place: line.place, text });
  const use = (pair: IniLine, key: IniKey, _: Draft, name: string): void => {
    // Weir may have it in the entry of a database by PgBouncer's name, without being a setting.
    if (settingFor(key, 'database') === undefined && isDatabaseKey(name)) like(pair, key, draft, [...above, name]);
    else put(pair, key, draft, above);
  };
  const pairs = withPairs(line, draft, databaseKeys, 'connection parameter', use, nodeKeys);
  if (pairs === undefined) return;
  const dir = draft.get(['unix_socket_dir']);
  const nodes = nodesOf(pairs, typeof dir === 'string' ? dir : undefined);
  if ('refused' in nodes) {
    draft.problems.push(`${line.place}: ${line.key}: ${nodes.refused}`);
    return;
  }
  const origin = { place: line.place, text: line.place };
  draft.set([...above, 'primary'], nodes.primary, origin);
  if (nodes.replicas.length > 0) draft.set([...above, 'replicas'], nodes.replicas, origin);
  draft.notes.push(...nodes.notes.map((note) => `${line.place}: ${line.key}: ${note}`));
}

function withoutPassword(text: string): string {
  return text.replace(/(\bpassword\s*=\s*)(?:'(?:[^']|'')*'?|\S+)/g, '$1***');
}
