/**
 * The manual page weir(1), made from the table of verbs. `npm run docs` writes it to man/weir.1, which is installed with the
 * package; a test compares the two.
 */
import { wordsOf, type OptionWords, type VerbWords, type Verbs } from './words.ts';

/** A line must not begin with a point or a quote, backslashes begin escapes, and options must be copied as they are. */
function text(words: string): string {
  const escaped = words.replaceAll('\\', '\\e').replaceAll('-', '\\-').replaceAll("'", '\\(aq');
  return escaped.replace(/`([^`]*)`/g, '\\fB$1\\fR').replace(/^\./, '\\&.');
}

function option({ flags, spec }: OptionWords): string[] {
  const names = flags.map((flag) => `\\fB${text(flag)}\\fR`).join(', ');
  return ['.TP', spec.value === undefined ? names : `${names} \\fI${text(spec.value)}\\fR`, text(spec.about)];
}

function command({ name, verb, options }: VerbWords): string[] {
  const head = [`.SS ${name}`, `.B weir ${name}`];
  const synopsis = verb.synopsis === '' ? [] : [text(verb.synopsis)];
  return [...head, ...synopsis, '.PP', text(verb.about), ...options.flatMap(option)];
}

const sections: readonly (readonly [string, readonly (readonly [string, string])[]])[] = [
  [
    'ENVIRONMENT',
    [
      ['WEIR_ADMIN_URL', 'Where the commands for a running Weir find it. Default: postgres://127.0.0.1:6432/weir.'],
      ['PGPASSWORD', 'The password, if the URL has none.'],
      ['WEIR_*', 'Settings of `weir serve` and `weir check`: WEIR_CACHE_TTL is cache.ttl. They win over the file.'],
    ],
  ],
  [
    'SIGNALS',
    [
      ['SIGHUP', 'Reads the configuration again.'],
      [
        'SIGTERM, SIGINT',
        'No new clients; those there end at their next boundary, and Weir ends. A second one: at once.',
      ],
      ['SIGUSR1', 'No new clients; Weir ends when the last one has left.'],
      ['SIGUSR2', 'Replaces the workers one by one.'],
      ['SIGQUIT', 'Ends at once.'],
    ],
  ],
  [
    'EXIT STATUS',
    [
      ['0', 'Done.'],
      ['1', 'Refused, or failed.'],
      ['2', 'Wrong usage.'],
    ],
  ],
];

export function manPage(verbs: Verbs): string {
  const lines = [
    '.\\" Made by `npm run docs` from the table of verbs in src/cli: change it there.',
    '.TH WEIR 1 "" "Weir" "Weir manual"',
    // No hyphens in the names of options and URLs, and no wide gaps.
    '.nh',
    '.ad l',
    '.SH NAME',
    'weir \\- a PostgreSQL proxy that pools, routes reads to replicas, and caches',
    '.SH SYNOPSIS',
    '.B weir',
    '.I COMMAND',
    '.RI [ ARGUMENTS ]',
    '.SH DESCRIPTION',
    text('Weir stands between applications and PostgreSQL servers. `weir serve` starts it.'),
    text(
      'Most other commands are for a Weir that runs: they speak to its admin console, as a user of auth.admin_users.',
    ),
    '.SH COMMANDS',
    ...wordsOf(verbs).flatMap(command),
  ];
  for (const [title, rows] of sections) {
    lines.push(`.SH ${title}`, ...rows.flatMap(([name, about]) => ['.TP', `.B ${text(name)}`, text(about)]));
  }
  lines.push(
    '.SH FILES',
    text('config/weir.yaml of the package has every setting at its default; docs/settings.md describes each of them.'),
    '.SH SEE ALSO',
    '.BR psql (1),',
    '.BR pgbouncer (1)',
  );
  return `${lines.join('\n')}\n`;
}
