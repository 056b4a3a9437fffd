/** The page of help of `weir top`, in 40 columns and 19 lines, so that the smallest terminals have all of it. Shown by layout.ts. */

export const helpLines: readonly string[] = [
  'Keys                       (any: back)',
  '1 to 6, F1 to F6, Tab   page',
  'arrows, PgUp PgDn       row',
  'Home End                first, last',
  'left, right             more columns',
  '< >, o                  sort column',
  'r                       reverse',
  '/                       rows with text',
  'u                       one user',
  'Esc                     all rows again',
  'space                   pause',
  'd, s                    delay, seconds',
  'k                       disconnect one',
  'Ctrl-L                  look now',
  'q, F10, Ctrl-C          quit',
  '',
  'Rates are between two looks; the first',
  'ones are averages of the last minute.',
  'Memory in MB, traffic in bytes.',
];
