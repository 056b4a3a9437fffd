/**
 * The verbs for a running Weir: each makes commands of the admin console from its arguments, and prints the result as
 * text or JSON. Called by run.ts through the table `adminVerbs`.
 */
import { consoleOptions, countOf, positionals, quoteName, quotePair, tableName, textOf, textsOf } from './arguments.ts';
import type { Arguments, OptionSpec, Verb } from './arguments.ts';
import { adminUrl, asObjects, runOnConsole } from './admin.ts';
import type { AdminResult } from './admin.ts';
import type { CliIo } from './io.ts';
import { UsageError, exitCodes } from './io.ts';
import { table } from './table.ts';
import { telling } from './telling.ts';
import { asJson, clean, wrap } from './text.ts';

const showOptions: Readonly<Record<string, OptionSpec>> = {
  ...consoleOptions,
  wide: { type: 'boolean', about: 'Print every column, however wide the terminal is.' },
  all: { type: 'boolean', about: 'Print every column with something in it, below each other if they do not fit.' },
};

/** @param most the columns to print where not all of them fit, the most important first */
export function print(
  results: readonly AdminResult[],
  args: Arguments,
  io: CliIo,
  done: string,
  most: readonly string[] = [],
): void {
  if (args.values['json'] === true) {
    io.out(`${asJson(results.flatMap(asObjects))}\n`);
    return;
  }
  const withRows = results.filter((result) => result.columns.length > 0);
  for (const { columns, rows } of withRows) {
    const names = columns.map((column) => column.name);
    const width = args.values['wide'] === true ? undefined : io.columns;
    const { text, leftOut, isShortened } = table(names, rows, width, args.values['all'] === true ? [] : most);
    io.out(text);
    const note = leftOutNote(leftOut, isShortened === true);
    if (note !== '') for (const line of wrap(note, io.columns ?? Infinity)) io.out(`${line}\n`);
  }
  if (withRows.length === 0) io.out(`${done}\n`);
}

function leftOutNote(leftOut: number, isShortened: boolean): string {
  if (!isShortened)
    return leftOut === 0 ? '' : `(${leftOut} columns with nothing in them are left out: --wide shows them)`;
  const what = leftOut === 0 ? 'long texts are cut' : `${leftOut} columns are left out`;
  return `(${what}: --all shows all below each other, --wide in one line)`;
}

export async function command(text: string | readonly string[], args: Arguments, io: CliIo): Promise<AdminResult[]> {
  const commands = typeof text === 'string' ? [text] : text;
  return runOnConsole(adminUrl(textOf(args, 'url'), io.env), commands, io);
}

function showVerb(what: string, about: string): Verb {
  return {
    synopsis: '[--json | --wide | --all]',
    about,
    options: showOptions,
    async run(args, io) {
      positionals(args, 0, 0, '');
      print(await command(`SHOW ${what}`, args, io), args, io, '(none)', telling[what]);
      return exitCodes.done;
    },
  };
}

/** A verb for a command with one name. `done` makes the text to print if the console sends no rows. */
function nameVerb(
  keyword: string,
  what: string,
  isNeeded: boolean,
  about: string,
  done: (name: string) => string,
): Verb {
  return {
    synopsis: isNeeded ? what : `[${what}]`,
    about,
    options: consoleOptions,
    async run(args, io) {
      const [name] = positionals(args, isNeeded ? 1 : 0, 1, what);
      const results = await command(name === undefined ? keyword : `${keyword} ${quoteName(name)}`, args, io);
      print(results, args, io, done(name ?? 'every database'));
      return exitCodes.done;
    },
  };
}

const reload: Verb = {
  synopsis: '',
  about: 'Reads the configuration again, applies what can be changed, and names what needs a restart.',
  options: consoleOptions,
  async run(args, io) {
    positionals(args, 0, 0, '');
    print(await command('RELOAD', args, io), args, io, 'the configuration was read again');
    return exitCodes.done;
  },
};

const resize: Verb = {
  synopsis: 'DATABASE[.USER] [--node NAME] [--min N] [--max N]',
  about: 'Sets how small and how large pools may be; takes effect at once.',
  options: {
    node: { type: 'string', value: 'NAME', about: 'Only the pools on this node.' },
    min: { type: 'string', value: 'N', about: 'Connections that a pool keeps at least.' },
    max: { type: 'string', value: 'N', about: 'Connections that a pool may have at most.' },
    ...consoleOptions,
  },
  async run(args, io) {
    const [pool = ''] = positionals(args, 1, 1, 'DATABASE[.USER]');
    const [min, max, node] = [countOf(args, 'min'), countOf(args, 'max'), textOf(args, 'node')];
    if (min === undefined && max === undefined) throw new UsageError('give --min, --max or both');
    if (max === 0) throw new UsageError('--max 0: a pool needs at least one connection (weir pause stops a database)');
    if (min !== undefined && max !== undefined && min > max)
      throw new UsageError(`--min ${min} is more than --max ${max}`);
    const words = ['RESIZE POOL', quotePair(pool)];
    if (node !== undefined) words.push('NODE', quoteName(node));
    if (min !== undefined) words.push(`MIN ${min}`);
    if (max !== undefined) words.push(`MAX ${max}`);
    const results = await command(words.join(' '), args, io);
    const [result] = results;
    const lines = result === undefined || args.values['json'] === true ? undefined : resizeLines(result);
    if (lines === undefined) print(results, args, io, `${pool} was resized`);
    else io.out(lines);
    return exitCodes.done;
  },
};

/** One line per pool: `shop.app on db1: 20 -> 40 (min 0, max 40)`; undefined if the result has other columns. */
function resizeLines(result: AdminResult): string | undefined {
  const at = (row: readonly (string | null)[], name: string): string | undefined =>
    row[result.columns.findIndex((column) => column.name === name)] ?? undefined;
  const lines = result.rows.map((row) => {
    const [database, user, node] = [at(row, 'database'), at(row, 'user'), at(row, 'node')];
    const [before, after] = [at(row, 'before'), at(row, 'after')];
    if (database === undefined || before === undefined || after === undefined) return undefined;
    const bounds = `min ${at(row, 'min') ?? '?'}, max ${at(row, 'max') ?? '?'}`;
    const pool = clean(`${database}.${user ?? '*'}${node === undefined ? '' : ` on ${node}`}`);
    return `${pool}: ${before} -> ${after} (${bounds})\n`;
  });
  return lines.length === 0 || lines.includes(undefined) ? undefined : lines.join('');
}

const kill: Verb = {
  synopsis: 'CLIENT',
  about: 'Disconnects a client; CLIENT is its id in weir clients.',
  options: consoleOptions,
  async run(args, io) {
    const [id = ''] = positionals(args, 1, 1, 'CLIENT');
    if (!/^\d{1,15}$/.test(id)) throw new UsageError(`${id}: not the id of a client: take it from weir clients`);
    print(await command(`KILL ${id}`, args, io), args, io, `client ${id} was disconnected`);
    return exitCodes.done;
  },
};

/** What is to be forgotten, by the option that names it. */
const kinds = ['table', 'tag', 'pattern'] as const;

/** `dropped from the cache: users (tags: 1, entries: 3)`; undefined: a Weir that does not count. */
function droppedLine(what: string, results: readonly AdminResult[]): string | undefined {
  const rows = results.flatMap(asObjects);
  if (rows.length === 0) return undefined;
  const sum = (name: string): number => rows.reduce((all, row) => all + Number(row[name] ?? 0), 0);
  return `dropped from the cache: ${clean(what)} (tags: ${sum('tags')}, entries: ${sum('entries')})\n`;
}

const invalidate: Verb = {
  synopsis: '(--table T... | --tag T... | --pattern P... | --all)',
  about: 'Drops cached results, in every Weir that shares the Redis.',
  options: {
    table: { type: 'string', multiple: true, value: 'T', about: 'Results that depend on this [schema.]table.' },
    tag: { type: 'string', multiple: true, value: 'T', about: 'Results with this tag (the tags= of a weir comment).' },
    pattern: {
      type: 'string',
      multiple: true,
      value: 'P',
      about: "Results with a tag like this: * stands for any characters, as in 'user:*'.",
    },
    all: { type: 'boolean', about: 'Everything.' },
    ...consoleOptions,
  },
  async run(args, io) {
    const named = {
      table: [...textsOf(args, 'table')],
      tag: [...textsOf(args, 'tag')],
      pattern: [...textsOf(args, 'pattern')],
    };
    const given = kinds.filter((kind) => named[kind].length > 0);
    // In `--table a b`, b is a table too: positional arguments belong to the only option given.
    if (args.positionals.length > 0) {
      const [only, another] = given;
      if (only === undefined || another !== undefined)
        throw new UsageError(`write --table, --tag or --pattern before ${args.positionals[0]}`);
      named[only].push(...args.positionals);
    }
    const isAll = args.values['all'] === true;
    if (isAll === given.length > 0) throw new UsageError('give --table, --tag, --pattern or --all');
    for (const kind of given)
      if (named[kind].some((name) => name.trim() === '')) throw new UsageError(`--${kind} is empty`);
    const commands = given.map((kind) => {
      const names = named[kind].map(kind === 'table' ? tableName : quoteName);
      return `INVALIDATE ${kind.toUpperCase()} ${names.join(', ')}`;
    });
    const what = isAll ? 'everything' : given.flatMap((kind) => named[kind]).join(', ');
    const results = await command(isAll ? ['INVALIDATE ALL'] : commands, args, io);
    const line = args.values['json'] === true ? undefined : droppedLine(what, results);
    if (line === undefined) print(results, args, io, `dropped from the cache: ${what}`);
    else io.out(line);
    return exitCodes.done;
  },
};

export const adminVerbs: Readonly<Record<string, Verb>> = {
  workers: showVerb('WORKERS', 'Processes of this Weir: clients, servers, memory and CPU.'),
  memory: showVerb('MEMORY', 'Memory of each process: its limit, what is in use, and what is done when it is short.'),
  pools: showVerb('POOLS', 'Pools: connections by state, clients waiting, limits and the last resize.'),
  nodes: showVerb('NODES', 'Servers: role, health, lag and load.'),
  clients: showVerb('CLIENTS', 'Clients, what they do, and why they are pinned to a server.'),
  servers: showVerb('SERVERS', 'Connections to servers.'),
  databases: showVerb('DATABASES', 'Databases that clients can ask for.'),
  stats: showVerb('STATS', 'Counters per database.'),
  statements: showVerb(
    'STATEMENTS',
    'Statements by their text without values: calls, time, rows, errors, and who answered.',
  ),
  cache: showVerb('CACHE', 'The result cache: entries, memory, hits and invalidations.'),
  decoding: showVerb('DECODING', 'Writes around Weir: how far they are known, and why not further.'),
  budgets: showVerb('BUDGETS', 'Budgets (service levels): how fast they are used up, and why.'),
  forecast: showVerb('FORECAST', 'Connections that pools will need, from the load at the same time of other days.'),
  'connection-budget': showVerb(
    'CONNECTION_BUDGET',
    'Connections that all Weirs may have to each server, and how many of them this one may.',
  ),
  limits: showVerb('LIMITS', 'Rate limits: tokens left, and what was refused.'),
  config: showVerb('CONFIG', 'Settings: value, default, and whether a reload can change them.'),
  resize,
  pause: nameVerb(
    'PAUSE',
    'DATABASE',
    false,
    'Lets running transactions end, then holds clients back.',
    (name) => `${name} is paused`,
  ),
  resume: nameVerb('RESUME', 'DATABASE', false, 'Ends a pause.', (name) => `${name} goes on`),
  reload,
  drain: nameVerb('DRAIN', 'NODE', true, 'Sends no new work to a node.', (name) => `${name} gets no new work`),
  undrain: nameVerb('UNDRAIN', 'NODE', true, 'Takes a drained node back.', (name) => `${name} gets work again`),
  kill,
  invalidate,
};
