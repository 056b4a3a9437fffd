/** The page of help of `weir top`, in 40 columns and 22 lines. Shown by layout.ts. */

export const helpLines: readonly string[] = [
  '1 to 7, Tab, Shift-Tab  page',
  'arrows, PgUp PgDn       row',
  'Home End                first, last',
  'Enter                   all of the row',
  'left, right             more columns',
  '< >, o, F6              sort column',
  'r, I                    reverse',
  '/, F3, F4               rows with text',
  'u                       one user',
  'Esc                     all rows again',
  'Z                       pause',
  'space, Ctrl-L           look now',
  'd, s                    delay, seconds',
  'k, F9                   disconnect one',
  'Ctrl-Z                  to the shell',
  'q, F10, Ctrl-C          quit',
  '',
  'Rates are between two looks; the first',
  'ones are averages of the last minute.',
  'Memory in MB, traffic in bytes.',
];
