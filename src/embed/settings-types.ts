/**
 * The configuration as a program writes it: the keys of config/weir.yaml as nested objects, made from the table of settings, so
 * that a new setting needs no line here. Types only; what a value may be is checked when Weir starts. Used by types.ts.
 */
import type { SettingKey, SettingValues } from '../config/settings.ts';

/** A map or list of a setting that has a form of its own, such as `limits` and `budgets`. */
type Form = { readonly [key: string]: unknown } | readonly unknown[];

/** How a value is written in the file: durations and sizes have a unit ('30s', '128MB'), addresses are 'host:port'. */
type WrittenDefined<T> = [T] extends [boolean]
  ? boolean
  : [T] extends [number]
    ? number | string
    : [T] extends [string]
      ? 'off' extends T
        ? T | boolean
        : T
      : [T] extends [{ readonly host: string; readonly port: number }]
        ? string
        : Form;

type Written<T> = undefined extends T ? WrittenDefined<NonNullable<T>> | null : WrittenDefined<T>;

/** The names below `Prefix`: of `cache.ttl` below `cache.`, `ttl`. */
type Names<Prefix extends string> = SettingKey extends infer Key
  ? Key extends `${Prefix}${infer Rest}`
    ? Rest extends `${infer Name}.${string}`
      ? Name
      : Rest
    : never
  : never;

type Section<Prefix extends string> = {
  readonly [Name in Names<Prefix>]?: `${Prefix}${Name}` extends SettingKey
    ? Written<SettingValues[`${Prefix}${Name}`]>
    : Section<`${Prefix}${Name}.`>;
};

/** A server of PostgreSQL. */
export interface NodeSettings {
  /** postgres://user:password@host:5432/database */
  readonly url: string;
  readonly name?: string;
  readonly weight?: number;
  readonly zone?: string;
  readonly dns?: 'a' | 'srv';
}

/** An entry of `databases`: its servers, and the settings that a database may have for itself. */
export type DatabaseSettings = Section<''> & {
  /** The server that takes writes. */
  readonly primary: string | NodeSettings;
  /** Servers that take reads. */
  readonly replicas?: readonly (string | NodeSettings)[];
};

/** docs/settings.md describes each key. */
export type WeirSettings = Section<''> & { readonly databases: Readonly<Record<string, DatabaseSettings>> };
