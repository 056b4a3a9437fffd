/**
 * The settings of a session that decide how its SQL texts are read. Needed for every statement and rarely changed, so
 * state.ts keeps the last value.
 */
import { parseBoolean } from '../sql/settings.ts';
import { encodingName, type Settings } from './settings.ts';

export interface Reading {
  /** The settings from which this was made. */
  readonly settings: Settings;
  readonly reported: ReadonlyMap<string, string>;
  readonly isUtf8: boolean;
  /** standard_conforming_strings: a backslash in a plain string constant is an ordinary character. */
  readonly hasStandardStrings: boolean;
  /** undefined: the default of the user. */
  readonly searchPath: string | undefined;
  /** SET ROLE; undefined: the role with which Weir logged in to the server. */
  readonly role: string | undefined;
}

/** A search_path in which no unqualified name is found, so a write to one counts as a write to everything. */
export const unknownPath = ',';

export function readingOf(settings: Settings, reported: ReadonlyMap<string, string>): Reading {
  const encoding = settings.get('client_encoding') ?? reported.get('client_encoding');
  const strings = settings.get('standard_conforming_strings') ?? reported.get('standard_conforming_strings');
  const role = settings.get('role');
  return {
    settings,
    reported,
    isUtf8: encoding === undefined || encodingName(encoding) === 'utf8',
    hasStandardStrings: strings === undefined || parseBoolean(strings) !== false,
    searchPath: settings.get('search_path'),
    role: role === 'none' ? undefined : role,
  };
}
