/**
 * What every verb of the CLI has: its options and arguments, checked and quoted for the admin console. Used by the files of verbs in
 * this folder and by run.ts.
 */
import { UsageError, type CliIo, type ExitCode } from './io.ts';

/** The result of util.parseArgs. */
export interface Arguments {
  readonly values: Readonly<Record<string, string | boolean | readonly (string | boolean)[] | undefined>>;
  readonly positionals: readonly string[];
}

export interface OptionSpec {
  readonly type: 'string' | 'boolean';
  readonly short?: string;
  readonly multiple?: boolean;
  /** For the help: a placeholder for the value, and a sentence. */
  readonly value?: string;
  readonly about: string;
}

export interface Verb {
  /** The usage after `weir NAME`. */
  readonly synopsis: string;
  readonly about: string;
  readonly options: Readonly<Record<string, OptionSpec>>;
  run(args: Arguments, io: CliIo): Promise<ExitCode>;
}

export const urlOption: OptionSpec = {
  type: 'string',
  value: 'URL',
  about: 'Where Weir is (WEIR_ADMIN_URL; default postgres://127.0.0.1:6432/weir).',
};

export const consoleOptions: Readonly<Record<string, OptionSpec>> = {
  url: urlOption,
  json: { type: 'boolean', about: 'Print a JSON list of objects.' },
};

/** Quotes a name for the console. */
export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** Quotes DATABASE[.USER], split at the first dot. A text with quotes is passed as it is: "my.db".app. */
export function quotePair(text: string): string {
  if (text.includes('"')) return text;
  const dot = text.indexOf('.');
  if (dot === -1) return quoteName(text);
  return `${quoteName(text.slice(0, dot))}.${quoteName(text.slice(dot + 1))}`;
}

/** Checks a table name as in SQL. The console folds it to lower case unless quoted. */
export function tableName(text: string): string {
  if (!/^(?:"(?:[^"]|"")+"|[^\s;,=()'".]+)(?:\.(?:"(?:[^"]|"")+"|[^\s;,=()'".]+))?$/.test(text)) {
    throw new UsageError(`--table ${text}: not a table name: write [schema.]table, with "quotes" as in SQL`);
  }
  return text;
}

export function textOf(args: Arguments, name: string): string | undefined {
  const value = args.values[name];
  return typeof value === 'string' ? value : undefined;
}

export function textsOf(args: Arguments, name: string): readonly string[] {
  const value = args.values[name];
  return Array.isArray(value) ? value.filter((item): item is string => typeof item === 'string') : [];
}

export function countOf(args: Arguments, name: string): number | undefined {
  const text = textOf(args, name);
  if (text === undefined) return undefined;
  if (!/^\d{1,6}$/.test(text)) throw new UsageError(`--${name} ${text}: not a number of connections`);
  return Number(text);
}

/**
 * Checks the number of positional arguments.
 * @throws UsageError
 */
export function positionals(args: Arguments, least: number, most: number, what: string): readonly string[] {
  const { positionals: given } = args;
  if (given.length < least) throw new UsageError(`missing ${what}`);
  if (given.length > most) throw new UsageError(`too many arguments: ${given.slice(most).join(' ')}`);
  const empty = given.find((text) => text.trim() === '');
  if (empty !== undefined) throw new UsageError(`${what} is empty`);
  return given;
}
