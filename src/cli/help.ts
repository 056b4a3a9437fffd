/**
 * Makes the texts of `weir help` from the table of verbs. Called by run.ts.
 */
import type { Verb } from './arguments.ts';
import { firstSentence } from './words.ts';

const groups: readonly (readonly [string, readonly string[]])[] = [
  ['Run', ['serve', 'check', 'convert', 'demo', 'completion']],
  [
    'Look',
    [
      ...[
        'top',
        'pools',
        'nodes',
        'clients',
        'servers',
        'databases',
        'stats',
        'statements',
        'cache',
        'limits',
        'budgets',
        'memory',
      ],
      ...['connection-budget', 'decoding', 'forecast', 'config', 'workers', 'explain'],
    ],
  ],
  ['Act', ['resize', 'pause', 'resume', 'reload', 'restart', 'drain', 'undrain', 'node', 'kill', 'invalidate']],
];

export function overview(verbs: ReadonlyMap<string, Verb>): string {
  const lines = [
    'Weir: a PostgreSQL proxy that pools, routes reads to replicas, and caches.',
    '',
    'usage: weir COMMAND ...',
  ];
  for (const [title, names] of groups) {
    lines.push('', `${title}:`);
    for (const name of names) {
      const verb = verbs.get(name);
      if (verb !== undefined) lines.push(`  ${name.padEnd(10)}  ${firstSentence(verb.about)}`);
    }
  }
  lines.push(
    '',
    '  help COMMAND  How a command is used.',
    '  version       The version.',
    '',
    'Look and Act speak to a running Weir: --url URL or WEIR_ADMIN_URL (default postgres://127.0.0.1:6432/weir),',
    'as a user of auth.admin_users, with the password of the URL or PGPASSWORD. --json prints JSON.',
    'Exit codes: 0 done, 1 refused or failed, 2 wrong usage.',
    '',
    'Start:  weir serve --primary postgres://app:secret@db1/shop --replica postgres://db2/shop',
    '        weir serve /etc/pgbouncer/pgbouncer.ini',
  );
  return `${lines.join('\n')}\n`;
}

export function verbHelp(name: string, verb: Verb): string {
  const lines = [`usage: weir ${name} ${verb.synopsis}`.trimEnd(), '', verb.about];
  const rows = Object.entries(verb.options).map(([option, spec]) => {
    const short = spec.short === undefined ? '' : `-${spec.short}, `;
    return [`  ${short}--${option}${spec.value === undefined ? '' : ` ${spec.value}`}`, spec.about] as const;
  });
  const width = Math.max(0, ...rows.map(([flag]) => flag.length)) + 2;
  if (rows.length > 0) lines.push('', ...rows.map(([flag, about]) => `${flag.padEnd(width)}${about}`));
  return `${lines.join('\n')}\n`;
}
