/**
 * The part of the table of settings about statistics, the log and traces of single statements. Put together with the others
 * in settings.ts.
 */
import type { Rows } from './setting.ts';
import { setting } from './setting.ts';
import { boolean, fraction, integer } from './values.ts';
import { durationOrOff } from './duration-or-off.ts';

export const statementRows = {
  'statements.enabled': setting(
    'enabled',
    boolean(),
    true,
    'reload',
    'Count each statement by its text without values, for SHOW STATEMENTS: see docs/statements.md.',
  ),
  'statements.max': setting(
    'max',
    integer(1, 10_000),
    1_000,
    'reload',
    'For how many statements of a user in a database; those that are used least go. Each takes about 2 KB, in each worker.',
  ),
} as const satisfies Rows;

export const statementLogRows = {
  log_min_duration: setting(
    'logMinDurationMs',
    durationOrOff(),
    -1,
    'reload',
    'Log each statement that takes at least so long, without its values; -1: none.',
  ),
  log_statement_sample_rate: setting(
    'logSampleRate',
    fraction(),
    0,
    'reload',
    'Log this share of all statements, whatever they take.',
  ),
} as const satisfies Rows;
