/**
 * `weir node add` and `weir node remove`: replicas that come and go while Weir runs. In the table of run.ts.
 */
import type { CliIo, ExitCode } from './io.ts';
import { UsageError, exitCodes } from './io.ts';
import { positionals, quoteName, textOf, type Arguments, type OptionSpec, type Verb } from './arguments.ts';
import { command, print } from './verbs.ts';

const words = ['weight', 'zone', 'name'] as const;

const quoteText = (text: string): string => `'${text.replaceAll("'", "''")}'`;

/** `weight=2` behind the URL means the same as `--weight 2`. */
function settingsOf(args: Arguments, rest: readonly string[]): string[] {
  const given = new Map<string, string>();
  for (const word of words) {
    const value = textOf(args, word);
    if (value !== undefined) given.set(word, value);
  }
  for (const text of rest) {
    const [, word = '', value = ''] = /^(weight|zone|name)=(.+)$/.exec(text) ?? [];
    if (word === '') throw new UsageError(`${text}: write weight=N, zone=ZONE or name=NAME`);
    given.set(word, value);
  }
  return [...given].map(([word, value]) => `${word.toUpperCase()} ${quoteText(value)}`);
}

async function add(args: Arguments, given: readonly string[], io: CliIo): Promise<void> {
  const [database = '', url = '', ...rest] = given;
  if (url === '') throw new UsageError('missing DATABASE URL');
  const text = ['NODE ADD', quoteName(database), quoteText(url), ...settingsOf(args, rest)].join(' ');
  print(await command(text, args, io), args, io, `the node was added to ${database}`);
}

async function remove(args: Arguments, given: readonly string[], io: CliIo): Promise<void> {
  const [database = '', name = '', ...rest] = given;
  if (name === '') throw new UsageError('missing DATABASE NAME');
  const more = [...rest, ...words.filter((word) => textOf(args, word) !== undefined)];
  if (more.length > 0) throw new UsageError(`too many arguments: ${more.join(' ')}`);
  const text = `NODE REMOVE ${quoteName(database)} ${quoteName(name)}`;
  print(await command(text, args, io), args, io, `${name} is no node of ${database} any more`);
}

export function nodeVerb(consoleOptions: Readonly<Record<string, OptionSpec>>): Verb {
  return {
    synopsis: '(add DATABASE URL [--weight N] [--zone ZONE] [--name NAME] | remove DATABASE NAME)',
    about:
      'Adds a replica, which takes reads as soon as it is ready, or removes one. Holds until Weir is started anew.',
    options: {
      weight: { type: 'string', value: 'N', about: 'Its share of reads relative to the others (1).' },
      zone: { type: 'string', value: 'ZONE', about: 'Its availability zone.' },
      name: { type: 'string', value: 'NAME', about: 'How SHOW NODES calls it (its host, or host:port).' },
      ...consoleOptions,
    },
    async run(args: Arguments, io: CliIo): Promise<ExitCode> {
      const [what, ...given] = positionals(args, 1, 6, 'add or remove');
      if (what === 'add') await add(args, given, io);
      else if (what === 'remove') await remove(args, given, io);
      else throw new UsageError(`${what}: write add or remove`);
      return exitCodes.done;
    },
  };
}
