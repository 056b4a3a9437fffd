/**
 * The table of settings. A row has the setting's field in Config, its type with the allowed values, its default, where and
 * when it can be changed, and a sentence about it. Most rows are in settings-pools.ts, settings-auth.ts and
 * settings-reads.ts. The loader, the type Config, environment names, SHOW CONFIG, SET, reload and docs/settings.md use the
 * table. The section `databases`, whose keys are names that the user chooses, is in databases.ts.
 */
import { connectionBudgetRows } from './settings-connection-budget.ts';
import { limitRows } from './settings-limits.ts';
import { authRows, tlsClientRows, tlsServerRows } from './settings-auth.ts';
import { poolSettings } from './settings-pools.ts';
import { cacheRows, routingRows } from './settings-reads.ts';
import { statementLogRows, statementRows } from './settings-statements.ts';
import { tracingRows } from './settings-tracing.ts';
import type { Rows, Setting, ValuesIn } from './setting.ts';
import { atLeast1ms, hour, minute, second, setting } from './setting.ts';
import { boolean, duration, fraction, oneOf, optional, string } from './values.ts';

export const resizeRows = {
  'resize.enabled': setting('enabled', boolean(), true, 'reload', 'Let pools grow and shrink by themselves.'),
  'resize.mode': setting(
    'mode',
    oneOf(['off', 'observe', 'on']),
    'off',
    'reload',
    'Statements at once: `on` finds for each pool the smallest number with which as much is done as with more, and lets others wait; `observe` only says what it sees.',
  ),
  'resize.target_wait': setting(
    'targetWaitMs',
    atLeast1ms,
    10,
    'reload',
    'A pool grows when its clients wait longer than this for a server.',
  ),
  'resize.shrink_after': setting(
    'shrinkAfterMs',
    atLeast1ms,
    5 * minute,
    'reload',
    'A pool shrinks when it had connections to spare for this long.',
  ),
} as const satisfies Rows;

export const forecastRows = {
  'forecast.file': setting(
    'file',
    optional(string('a file name')),
    undefined,
    'reload',
    'File in which Weir keeps what it has learned of the load of each pool by time of day, to open connections before it comes: see docs/forecast.md. null: off.',
  ),
  'forecast.confidence': setting(
    'confidence',
    fraction(),
    0.8,
    'reload',
    'A pool is warmed when its forecast has at least this confidence.',
  ),
  'forecast.ahead': setting(
    'aheadMs',
    duration(second, hour),
    minute,
    'reload',
    'How long before a predicted load its connections are opened.',
  ),
} as const satisfies Rows;

export const logRows = {
  'log.level': setting(
    'level',
    oneOf(['debug', 'info', 'warn', 'error']),
    'info',
    'reload',
    'Least important messages that are logged.',
  ),
  'log.file': setting(
    'file',
    optional(string('a file name')),
    undefined,
    'restart',
    'File to which the log is appended, besides standard output; a reload opens it anew, after logrotate has moved it.',
  ),
  'log.stdout': setting(
    'stdout',
    boolean(),
    true,
    'restart',
    'Whether the log goes to standard output; `weir serve -q` says false.',
  ),
  'log.format': setting(
    'format',
    oneOf(['json', 'pretty', 'pgbouncer']),
    'json',
    'restart',
    'One JSON object a line, or lines for people; `pgbouncer`: lines as PgBouncer writes them, with one for each log-in, end and error of a client.',
  ),
} as const satisfies Rows;

export const settings = {
  ...poolSettings,
  ...statementLogRows,
  ...limitRows,
  ...connectionBudgetRows,
  ...authRows,
  ...tlsClientRows,
  ...tlsServerRows,
  ...routingRows,
  ...cacheRows,
  ...resizeRows,
  ...forecastRows,
  ...logRows,
  ...statementRows,
  ...tracingRows,
} as const;

export type SettingKey = keyof typeof settings;
export type SettingValues = ValuesIn<typeof settings>;
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
