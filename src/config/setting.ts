/**
 * What a row of the table of settings is, and the words its rows are written with. Called by settings.ts and
 * settings-reads.ts, which hold the rows.
 */
import type { Config } from './config.ts';
import type { ValueType } from './values.ts';
import { duration, longestDurationMs } from './values.ts';

export interface Setting<T> {
  readonly type: ValueType<T>;
  readonly default: T;
  /** Can be changed by a reload or SET; otherwise a restart is needed. */
  readonly isReloadable: boolean;
  /** Can also be set under `databases.NAME`. */
  readonly isPerDatabase: boolean;
  /** One sentence for the documentation. */
  readonly about: string;
  /** Where its value is in a checked configuration. */
  read(config: Config): T;
}

type Scope = 'restart' | 'reload' | 'per database';

export function setting<T>(
  type: ValueType<T>,
  standard: NoInfer<T>,
  scope: Scope,
  about: string,
  read: (config: Config) => NoInfer<T>,
): Setting<T> {
  return {
    type,
    default: standard,
    isReloadable: scope !== 'restart',
    isPerDatabase: scope === 'per database',
    about,
    read,
  };
}

export const second = 1000;
export const minute = 60 * second;
export const hour = 60 * minute;
export const atLeast1ms = duration(1, longestDurationMs);
/** @param zero what 0 means, in words */
export const orZero = (zero: string): ValueType<number> => duration(1, longestDurationMs, zero);
