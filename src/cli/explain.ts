/**
 * `weir explain`: how a statement would be routed and cached (EXPLAIN ROUTE), or, with --pool, why pools have the sizes that they
 * have (EXPLAIN POOL). Called by run.ts.
 */
import type { AdminResult } from './admin.ts';
import type { CliIo, ExitCode } from './io.ts';
import { UsageError, exitCodes } from './io.ts';
import { clean } from './text.ts';
import { type Arguments, type OptionSpec, type Verb, positionals, quoteName, quotePair, textOf } from './arguments.ts';
import { command, print } from './verbs.ts';

/** @param consoleOptions --url and --json */
export function explainVerb(consoleOptions: Readonly<Record<string, OptionSpec>>): Verb {
  return {
    synopsis: '("SQL" [--database NAME] [--user NAME] | --pool DATABASE[.USER])',
    about:
      'How a statement would be classified, routed and cached, or with --pool why a pool has its size, and why. Nothing is run.',
    options: {
      pool: {
        type: 'string',
        value: 'DATABASE[.USER]',
        about: 'Why each of these pools has the size that it has, what bounds it, and what would change it.',
      },
      database: {
        type: 'string',
        value: 'NAME',
        about: 'Whose tables are meant, when several databases are configured.',
      },
      user: {
        type: 'string',
        value: 'NAME',
        about: 'Whose search_path counts; default the user of the admin console.',
      },
      ...consoleOptions,
    },
    run: explain,
  };
}

async function explain(args: Arguments, io: CliIo): Promise<ExitCode> {
  const [pool, database, user] = [textOf(args, 'pool'), textOf(args, 'database'), textOf(args, 'user')];
  if (pool !== undefined) return explainPool(pool, args, io);
  const [sql = ''] = positionals(args, 1, 1, '"SQL", or --pool DATABASE[.USER]');
  const options: string[] = [];
  if (database !== undefined) options.push(`DATABASE ${quoteName(database)}`);
  if (user !== undefined) options.push(`USER ${quoteName(user)}`);
  const where = options.length === 0 ? '' : `(${options.join(', ')}) `;
  print(await command(`EXPLAIN ROUTE ${where}${sql}`, args, io), args, io, '(no answer)');
  return exitCodes.done;
}

async function explainPool(pool: string, args: Arguments, io: CliIo): Promise<ExitCode> {
  positionals(args, 0, 0, '');
  if (pool.trim() === '') throw new UsageError('--pool is empty');
  for (const name of ['database', 'user'])
    if (textOf(args, name) !== undefined)
      throw new UsageError(`--${name} is not for --pool: write --pool DATABASE.USER`);
  const results = await command(`EXPLAIN POOL ${quotePair(pool)}`, args, io);
  const lines = args.values['json'] === true ? undefined : results.map(poolLines).join('');
  if (lines === undefined || lines === '') print(results, args, io, '(no answer)');
  else io.out(lines);
  return exitCodes.done;
}

/** Of each pool a line with its name, and one for each item: sentences do not fit into the columns of a table. */
function poolLines({ columns, rows }: AdminResult): string {
  const names = columns.map(({ name }) => name);
  const at = (row: readonly (string | null)[], name: string): string => clean(row[names.indexOf(name)] ?? '');
  let last = '';
  let text = '';
  for (const row of rows) {
    const pool = `${at(row, 'database')}.${at(row, 'user')} on ${at(row, 'node')}`;
    if (pool !== last) text += `${last === '' ? '' : '\n'}${pool}\n`;
    last = pool;
    text += `  ${at(row, 'item').padEnd(18)} ${at(row, 'value')}\n`;
  }
  return text;
}
