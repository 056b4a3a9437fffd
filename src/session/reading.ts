/**
 * How the texts of a session are to be read: what of its settings decides that. Asked for with every statement, and nearly
 * always what it was before; kept by state.ts.
 */
import { parseBoolean } from '../sql/settings.ts';
import { encodingName, type Settings } from './settings.ts';

export interface Reading {
  /** Of which this was read. */
  readonly settings: Settings;
  readonly reported: ReadonlyMap<string, string>;
  readonly isUtf8: boolean;
  /** Is a backslash in a plain string constant a character like any other? */
  readonly hasStandardStrings: boolean;
  /** undefined: the default of the user. */
  readonly searchPath: string | undefined;
  /** SET ROLE; undefined: whom the servers know. */
  readonly role: string | undefined;
}

/** No search_path at all: no unqualified name is found, so whoever writes one writes everything. */
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
