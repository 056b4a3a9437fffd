/**
 * Answers the statements that drivers send by themselves: SET application_name, SELECT 1, SHOW transaction_isolation,
 * BEGIN ... so that any PostgreSQL client can use the console. They change nothing. Called by console.ts for a statement
 * that is not a command of the console, and for SET of a setting that is not Weir's.
 */
import type { ConsoleColumn, ConsoleCommand, Run, Value } from './types.ts';

/** Settings of a PostgreSQL session. SET of one is accepted and ignored. */
const ignoredSettings = new Set(
  `application_name bytea_output client_encoding client_min_messages datestyle default_transaction_isolation
  default_transaction_read_only extra_float_digits idle_in_transaction_session_timeout intervalstyle jit lock_timeout
  names row_security search_path session standard_conforming_strings statement_timeout synchronize_seqscans
  timezone time transaction work_mem role xmloption`.split(/\s+/),
);

const reported: Readonly<Record<string, string>> = {
  client_encoding: 'UTF8',
  datestyle: 'ISO, MDY',
  default_transaction_isolation: 'read committed',
  default_transaction_read_only: 'off',
  in_hot_standby: 'off',
  integer_datetimes: 'on',
  intervalstyle: 'postgres',
  is_superuser: 'off',
  max_identifier_length: '63',
  search_path: '""',
  server_encoding: 'UTF8',
  standard_conforming_strings: 'on',
  timezone: 'UTC',
  transaction_isolation: 'read committed',
  transaction_read_only: 'off',
};

const text = (name: string): ConsoleColumn => ({ name, type: 'text' });

function answer(
  tag: string,
  columns: readonly ConsoleColumn[],
  rows: (user: string, version: string) => Value[][],
): ConsoleCommand {
  const run: Run = ({ user, sources }) => ({ rows: rows(user, sources.version) });
  return { name: tag, detail: 'none', role: 'stats', syntax: tag, help: '', columns, tag, parse: () => run };
}

const withoutEffect = (tag: string): ConsoleCommand => ({
  name: tag,
  detail: 'none',
  role: 'stats',
  syntax: tag,
  help: '',
  columns: [],
  tag,
  parse: () => () => ({}),
});

/**
 * @param words the statement without comments, with one blank between words
 * @returns undefined for a statement that it does not know
 */
export function driverStatement(words: string, isWeirSetting: (key: string) => boolean): ConsoleCommand | undefined {
  const [first = '', second = '', third = ''] = words.toLowerCase().split(/[\s=]+/, 3);
  switch (first) {
    case 'set': {
      const name = (second === 'session' || second === 'local') && third !== '' ? third : second;
      const isIgnored = ignoredSettings.has(name) || ignoredSettings.has(second);
      return isIgnored && !isWeirSetting(name) ? withoutEffect('SET') : undefined;
    }
    case 'begin':
    case 'start':
      return withoutEffect('BEGIN');
    case 'commit':
    case 'end':
      return withoutEffect('COMMIT');
    case 'rollback':
    case 'abort':
      return withoutEffect('ROLLBACK');
    case 'discard':
    case 'reset':
    case 'deallocate':
    case 'unlisten':
      return withoutEffect(
        first === 'discard' || first === 'deallocate' ? `${first} ${second}`.trim().toUpperCase() : first.toUpperCase(),
      );
    case 'show':
      return reportedSetting(
        words
          .slice(5)
          .trim()
          .toLowerCase()
          .replace(/^transaction isolation level$/, 'transaction_isolation'),
      );
    case 'select':
      return driverSelect(words.slice(7).trim());
    default:
      return undefined;
  }
}

function reportedSetting(name: string): ConsoleCommand | undefined {
  if (name === 'server_version') return answer('SHOW', [text(name)], (_user, version) => [[serverVersion(version)]]);
  const value = Object.hasOwn(reported, name) ? reported[name] : undefined;
  return value === undefined ? undefined : answer('SHOW', [text(name)], () => [[value]]);
}

/** The server_version of the console: a version number that drivers can compare, and Weir's own. */
export function serverVersion(version: string): string {
  return `16.0 (Weir ${version})`;
}

function driverSelect(expression: string): ConsoleCommand | undefined {
  const literal = /^(\d{1,9})(?:\s+as\s+(\w{1,63}))?$/i.exec(expression);
  if (literal !== null) {
    const value = Number(literal[1]);
    return answer('SELECT 1', [{ name: literal[2] ?? '?column?', type: 'int8' }], () => [[value]]);
  }
  // postgres.js queries the array types of the database before its first statement.
  if (/\btyparray\b/i.test(expression))
    return answer(
      'SELECT 0',
      [
        { name: 'oid', type: 'int8' },
        { name: 'typarray', type: 'int8' },
      ],
      () => [],
    );
  const call = /^(?:pg_catalog\.)?(\w+)\s*(?:\(\s*\))?$/.exec(expression)?.[1]?.toLowerCase() ?? '';
  switch (call) {
    case 'version':
      return answer('SELECT 1', [text('version')], (_user, version) => [[`PostgreSQL ${serverVersion(version)}`]]);
    case 'current_database':
    case 'current_catalog':
      return answer('SELECT 1', [text(call)], () => [['weir']]);
    case 'current_schema':
      return answer('SELECT 1', [text(call)], () => [[null]]);
    case 'current_user':
    case 'session_user':
    case 'user':
      return answer('SELECT 1', [text(call)], (user) => [[user]]);
    case 'pg_is_in_recovery':
      return answer('SELECT 1', [text(call)], () => [['f']]);
    default:
      return undefined;
  }
}
