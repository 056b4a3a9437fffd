/**
 * What a row of the tables of PgBouncer's keys is (keys.ts, entry-keys.ts): which setting of Weir has the same meaning, or why
 * there is none.
 */
import { settingOf, type SettingKey } from '../settings.ts';

/** How PgBouncer reads a value: what it refuses is refused here, too. */
export type Kind = 'int' | 'seconds' | 'text' | 'list' | 'file' | 'protocols' | readonly string[];

export interface IniKey {
  readonly kind: Kind;
  readonly setting: SettingKey | undefined;
  /** Settings that get the same value. */
  readonly also: readonly SettingKey[];
  /** As in a file; with this value, or without the key, nothing is missing, although there is no such setting. */
  readonly inert: readonly string[];
  /** The value in YAML if the file does not have the key: PgBouncer's default, where Weir's is another. */
  readonly absent: unknown;
  /** After "has no effect here, because"; undefined: the setting is there. */
  readonly because: string | undefined;
}

type Options = Partial<Pick<IniKey, 'also' | 'inert' | 'absent'>>;

const noOptions = { also: [], inert: [], absent: undefined } as const;

/** A key that is a setting of Weir. */
export function same(kind: Kind, setting: SettingKey, options: Options = {}): IniKey {
  return { kind, setting, because: undefined, ...noOptions, ...options };
}

/** A key of a database that is a setting for all of them in Weir. */
export function forAllDatabases(kind: Kind, setting: SettingKey, because: string, inert: readonly string[]): IniKey {
  return { kind, setting, because, ...noOptions, inert };
}

export function none(kind: Kind, because: string, inert: readonly string[] = []): IniKey {
  return { kind, setting: undefined, because, ...noOptions, inert };
}

/** @param where a setting of one database must be allowed there */
export function settingFor(
  { setting }: IniKey,
  where: 'everywhere' | 'database' = 'everywhere',
): SettingKey | undefined {
  if (setting === undefined || where === 'everywhere') return setting;
  return settingOf(setting).isPerDatabase ? setting : undefined;
}
