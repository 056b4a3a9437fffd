/**
 * What a row of the tables of PgBouncer's keys is (keys.ts, entry-keys.ts): which setting of Weir has the same meaning, or why
 * there is none. Whether Weir has a setting is looked up in its table of settings, so that a new one is used by itself.
 */
import { isSettingKey, settingOf, type SettingKey } from '../settings.ts';

/** How PgBouncer reads a value: what it refuses is refused here, too. */
export type Kind = 'int' | 'seconds' | 'text' | 'list' | 'file' | readonly string[];

export interface IniKey {
  readonly kind: Kind;
  /** Names that the setting may have in Weir; the first one that exists counts. */
  readonly settings: readonly string[];
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

/** A key that is a setting of Weir. */
export function same(kind: Kind, setting: SettingKey, options: Options = {}): IniKey {
  return { kind, settings: [setting], also: [], inert: [], absent: undefined, because: undefined, ...options };
}

/** A key that is a setting if Weir has one of that name; otherwise it has no effect. */
export function perhaps(kind: Kind, settings: readonly string[], because: string, options: Options = {}): IniKey {
  return { kind, settings, also: [], inert: [], absent: undefined, because, ...options };
}

export function none(kind: Kind, because: string, inert: readonly string[] = []): IniKey {
  return { kind, settings: [], also: [], inert, absent: undefined, because };
}

/** @param where a setting of one database must be allowed there */
export function settingFor(key: IniKey, where: 'everywhere' | 'database' = 'everywhere'): SettingKey | undefined {
  return key.settings.find(
    (name): name is SettingKey => isSettingKey(name) && (where === 'everywhere' || settingOf(name).isPerDatabase),
  );
}
