/**
 * Compares two configurations, merges them for RELOAD, and changes one setting for `SET key = value`. Pure. The table
 * (settings.ts) says which settings can change while Weir runs.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Config, DatabaseConfig } from './config.ts';
import { assemble, assemblePool, valuesOf, withValue } from './assemble.ts';
import { crossCheck, fitSizes } from './checks.ts';
import { perDatabaseKeys } from './databases.ts';
import type { SettingKey, SettingValues } from './settings.ts';
import { isSettingKey, settingKeys, settingOf } from './settings.ts';
import { refusal } from './gather.ts';
import { nearest } from './suggest.ts';

/** Keys that differ, `databases.NAME` and `users.NAME` among them. */
export interface ConfigDiff {
  readonly reloadable: string[];
  /** Differ, but only a restart applies them. */
  readonly notReloadable: string[];
}

export function diffConfig(before: Config, after: Config): ConfigDiff {
  const diff: ConfigDiff = { reloadable: [], notReloadable: [] };
  const old = valuesOf(before);
  const now = valuesOf(after);
  for (const key of settingKeys) {
    if (isDeepStrictEqual(old[key], now[key])) continue;
    (settingOf(key).isReloadable ? diff.reloadable : diff.notReloadable).push(key);
  }
  for (const name of new Set([...before.databases.keys(), ...after.databases.keys()])) {
    if (!isDeepStrictEqual(before.databases.get(name), after.databases.get(name)))
      diff.reloadable.push(`databases.${name}`);
  }
  for (const name of new Set([...before.users.keys(), ...after.users.keys()])) {
    if (!isDeepStrictEqual(before.users.get(name), after.users.get(name))) diff.reloadable.push(`users.${name}`);
  }
  return diff;
}

/** What it takes to change a setting that is not reloadable, in words. */
export function whatChanges(key: string): 'a restart' | 'a new start of Weir' {
  return isSettingKey(key) && settingOf(key).isFixed ? 'a new start of Weir' : 'a restart';
}

/** By key, of those that a rolling restart does not change. Goes from process to process as JSON. */
export type FixedSettings = Readonly<Partial<Record<SettingKey, unknown>>>;

const fixedKeys = settingKeys.filter((key) => settingOf(key).isFixed);

export function fixedSettings(config: Config): FixedSettings {
  const values = valuesOf(config);
  return Object.fromEntries(fixedKeys.map((key) => [key, values[key]]));
}

/** `config` of the file, with the fixed settings as Weir was started with them. */
export function withFixed(config: Config, fixed: FixedSettings): Config {
  let values = valuesOf(config);
  for (const key of fixedKeys) values = withValue(values, key, fixed[key]);
  return assemble(values, config);
}

/** `next`, with everything that only a restart applies left as it is in `running`. */
export function keepNotReloadable(running: Config, next: Config): Config {
  const old = valuesOf(running);
  let values = valuesOf(next);
  for (const key of settingKeys) {
    if (!settingOf(key).isReloadable) values = withValue(values, key, old[key]);
  }
  return assemble(values, next);
}

export type Changed = { readonly config: Config } | { readonly problem: string };

/**
 * One setting changed, as written in `SET key = value`. A database that follows the global value goes on following.
 * @param also others that change with it, because none of them can be used alone
 */
export function changeSetting(
  config: Config,
  key: string,
  text: string,
  also: readonly (readonly [key: string, text: string])[] = [],
): Changed {
  const before = valuesOf(config);
  let values = before;
  const keys = new Set<SettingKey>();
  for (const [name, value] of [...also, [key, text] as const]) {
    if (!isSettingKey(name)) {
      return { problem: `unknown setting ${name.slice(0, 80)}; the nearest is ${nearest(name, settingKeys) ?? ''}` };
    }
    const setting = settingOf(name);
    const parsed = setting.type.parseText(value);
    if ('refused' in parsed) return { problem: refusal('SET', name, value, parsed.refused) };
    if (!setting.isReloadable)
      return { problem: `${name} needs ${whatChanges(name)}: set it in the configuration file` };
    values = withValue(values, name, parsed.value);
    keys.add(name);
  }
  const fitted = fitSizes(values, keys);
  if (fitted.problem !== undefined) return { problem: fitted.problem };
  const databases = new Map<string, DatabaseConfig>();
  for (const database of config.databases.values())
    databases.set(database.name, follow(config, database, before, fitted.values));
  const changed = assemble(fitted.values, { ...config, databases });
  // A problem that existed before, such as a deleted file, is no reason to refuse this change.
  const known = new Set(crossCheck(config).map((problem) => problem.text));
  const wrong = crossCheck(changed).find((problem) => !known.has(problem.text));
  return wrong === undefined ? { config: changed } : { problem: `${wrong.key}: ${wrong.text}` };
}

function follow(config: Config, database: DatabaseConfig, before: SettingValues, after: SettingValues): DatabaseConfig {
  // A configuration with this database's pool as the global one, so that the table can read it.
  const own = valuesOf({ ...config, pool: database.pool });
  let values = after;
  for (const key of perDatabaseKeys) {
    if (!isDeepStrictEqual(own[key], before[key])) values = withValue(values, key, own[key]);
  }
  const explicit = new Set<SettingKey>(perDatabaseKeys.filter((key) => !isDeepStrictEqual(own[key], before[key])));
  return { ...database, pool: assemblePool(fitSizes(values, explicit).values) };
}
