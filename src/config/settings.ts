/**
 * The one table of settings: key, type, default, range, whether it can be changed while Weir runs and per database, and
 * one sentence. Most rows stand in settings-pools.ts, settings-auth.ts and settings-reads.ts. The loader, environment
 * names, SHOW CONFIG, reload and docs/settings.md are all made from it.
 * The `databases` section, which is no list of fixed keys, is in databases.ts.
 */
import { authSettings } from './settings-auth.ts';
import { poolSettings } from './settings-pools.ts';
import { readSettings } from './settings-reads.ts';
import type { Setting } from './setting.ts';
import { atLeast1ms, minute, setting } from './setting.ts';
import { boolean, oneOf } from './values.ts';

export const settings = {
  ...poolSettings,
  ...authSettings,
  ...readSettings,
  'resize.enabled': setting(
    boolean(),
    true,
    'reload',
    'Let pools grow and shrink by themselves.',
    (c) => c.resize.enabled,
  ),
  'resize.target_wait': setting(
    atLeast1ms,
    10,
    'reload',
    'A pool grows when its clients wait longer than this for a server.',
    (c) => c.resize.targetWaitMs,
  ),
  'resize.shrink_after': setting(
    atLeast1ms,
    5 * minute,
    'reload',
    'A pool shrinks when it had connections to spare for this long.',
    (c) => c.resize.shrinkAfterMs,
  ),
  'log.level': setting(
    oneOf(['debug', 'info', 'warn', 'error']),
    'info',
    'reload',
    'Least important messages that are logged.',
    (c) => c.log.level,
  ),
  'log.format': setting(
    oneOf(['json', 'pretty']),
    'json',
    'restart',
    'One JSON object a line, or lines for people.',
    (c) => c.log.format,
  ),
} as const satisfies Readonly<Record<string, Setting<unknown>>>;

export type SettingKey = keyof typeof settings;
export type SettingValues = {
  readonly [K in SettingKey]: (typeof settings)[K] extends Setting<infer T> ? T : never;
};
/** A setting of which only the key is known at run time. */
export type AnySetting = Setting<unknown>;

export const settingKeys = Object.keys(settings) as readonly SettingKey[];

export function settingOf(key: SettingKey): AnySetting {
  return settings[key];
}

export function isSettingKey(key: string): key is SettingKey {
  return Object.hasOwn(settings, key);
}

/** `cache.ttl` -> `WEIR_CACHE_TTL`. */
export function environmentName(key: string): string {
  return `WEIR_${key.replace(/[^A-Za-z0-9]/g, '_').toUpperCase()}`;
}
