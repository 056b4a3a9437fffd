/**
 * What a row of the table of settings is, the words that its rows are written with, and the types that follow from some
 * rows. The rows are in settings.ts and the files settings-*.ts.
 */
import type { Parsed, ValueType } from './values.ts';
import { duration, longestDurationMs } from './values.ts';

export interface Setting<T, Field extends string | undefined = string | undefined> {
  /** Name of its value in Config, with the unit; undefined: it has only one value for now, which no room reads. */
  readonly field: Field;
  readonly type: ValueType<T>;
  readonly default: T;
  /** A reload or SET can change it; otherwise a restart is needed. */
  readonly isReloadable: boolean;
  /** A rolling restart of several workers does not change it either: the sockets stay open, and there are as many workers. */
  readonly isFixed: boolean;
  /** Can also be set under `databases.NAME`. */
  readonly isPerDatabase: boolean;
  /** One sentence for the documentation. */
  readonly about: string;
}

/** Some rows, by their keys in the file: `cache.ttl`. */
export type Rows = Readonly<Record<string, Setting<unknown>>>;

type ValueOf<Row> = Row extends Setting<infer T> ? T : never;

/** The values of some rows, by their keys: `{ 'cache.ttl': number }`. */
export type ValuesIn<Table extends Rows> = { readonly [Key in keyof Table]: ValueOf<Table[Key]> };

/** The same by their fields, as Config has them: `{ ttlMs: number }`. Rows without a field are left out. */
export type FieldsOf<Table extends Rows> = {
  readonly [Key in keyof Table as NonNullable<Table[Key]['field']>]: ValueOf<Table[Key]>;
};

type Scope = 'new start' | 'restart' | 'reload' | 'per database';

export function setting<Field extends string | undefined, T>(
  field: Field,
  type: ValueType<T>,
  standard: NoInfer<T>,
  scope: Scope,
  about: string,
): Setting<T, Field> {
  return {
    field,
    type,
    default: standard,
    isReloadable: scope !== 'restart' && scope !== 'new start',
    isFixed: scope === 'new start',
    isPerDatabase: scope === 'per database',
    about,
  };
}

export const second = 1000;
export const minute = 60 * second;
export const hour = 60 * minute;
export const atLeast1ms = duration(1, longestDurationMs);
/** @param zero what 0 means, in words */
export const orZero = (zero: string): ValueType<number> => duration(1, longestDurationMs, zero);

/** 0 is the longest time that there is: for what is compared with a deadline, which then needs no case of its own. */
export function orLongest(zero: string): ValueType<number> {
  const type = orZero(zero);
  const longest = (parsed: Parsed<number>): Parsed<number> =>
    'value' in parsed && parsed.value === 0 ? { value: longestDurationMs } : parsed;
  return { ...type, parse: (raw) => longest(type.parse(raw)), parseText: (text) => longest(type.parseText(text)) };
}
