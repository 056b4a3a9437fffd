/**
 * Names and values of run-time parameters as SET, RESET, SHOW and set_config() write them: canonical names, quoting
 * for `SET name = value`, and the lists of identifiers in search_path and similar parameters.
 * Used by the extract-*.ts files, and where settings are replayed on a server connection.
 */

import type { BoundSetting, SettingChange } from './facts.ts';

/** Parameters whose value is a list of identifiers, each quoted on its own (guc.c: GUC_LIST_QUOTE). */
const IDENTIFIER_LISTS: ReadonlySet<string> = new Set([
  'search_path',
  'temp_tablespaces',
  'local_preload_libraries',
  'session_preload_libraries',
  'shared_preload_libraries',
  'unix_socket_directories',
]);

/** Parameters of the running transaction, not of the session. */
export const TRANSACTION_PARAMETERS: ReadonlySet<string> = new Set([
  'transaction_isolation',
  'transaction_read_only',
  'transaction_deferrable',
]);

/** Parameters that decide how the names in a text are resolved and how its bytes are read. */
export const READING_PARAMETERS: ReadonlySet<string> = new Set([
  'search_path',
  'role',
  'session_authorization',
  'client_encoding',
  'standard_conforming_strings',
]);

/** Lower case; PostgreSQL compares names of parameters without regard to case. */
export function canonicalName(name: string): string {
  return name.toLowerCase();
}

/** A string constant that means `value` whatever standard_conforming_strings says. */
export function quoteLiteral(value: string): string {
  const quoted = value.replaceAll("'", "''");
  return value.includes('\\') ? `E'${quoted.replaceAll('\\', '\\\\')}'` : `'${quoted}'`;
}

/**
 * Quotes a value of set_config() or of a startup packet for `SET name = value`. In a list of identifiers, each element
 * becomes a constant of its own.
 * @returns undefined if such a list is not well formed
 */
export function quoteSettingText(name: string, text: string): string | undefined {
  if (!IDENTIFIER_LISTS.has(canonicalName(name))) return quoteLiteral(text);
  const elements = splitIdentifiers(text);
  if (elements === undefined) return undefined;
  return elements.length === 0 ? "''" : elements.map(quoteLiteral).join(', ');
}

/** `"$user", public` to ['$user', 'public']: unquoted ones in lower case, quotes taken off; undefined: not a list. */
export function splitIdentifiers(text: string): string[] | undefined {
  const elements: string[] = [];
  const element = /\s*(?:"((?:[^"]|"")+)"|([^\s",]+))\s*(,|$)/y;
  if (text.trim() === '') return elements;
  for (;;) {
    const match = element.exec(text);
    if (match === null) return undefined;
    elements.push(match[1]?.replaceAll('""', '"') ?? match[2]!.toLowerCase());
    if (match[3] === '') return elements;
  }
}

/** Reads a boolean as PostgreSQL does: on, true, yes, 1, their unique prefixes, and the opposites; undefined: neither. */
export function parseBoolean(text: string): boolean | undefined {
  const word = text.trim().toLowerCase();
  if (word === '1' || word === 'on') return true;
  if (word === '0' || word === 'of' || word === 'off') return false;
  if (word !== '' && ('true'.startsWith(word) || 'yes'.startsWith(word))) return true;
  if (word !== '' && ('false'.startsWith(word) || 'no'.startsWith(word))) return false;
  return undefined;
}

/** The change by a set_config() call whose parameters are known; undefined: the call fails or cannot be followed. */
export function settingOf({ name, value, isLocal }: BoundSetting): SettingChange | undefined {
  const local = typeof isLocal === 'string' ? parseBoolean(isLocal) : isLocal === null ? false : undefined;
  if (typeof name !== 'string' || typeof value === 'number' || local === undefined) return undefined;
  const parameter = canonicalName(name);
  if (value === null) return { name: parameter, value: undefined, plain: undefined, isLocal: local };
  const quoted = quoteSettingText(parameter, value);
  return quoted === undefined ? undefined : { name: parameter, value: quoted, plain: value, isLocal: local };
}
