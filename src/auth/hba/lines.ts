/**
 * Reads a file in the format of pg_hba.conf: joins continuation lines, follows include directives and @files. Collects
 * every problem with file and line. Called by load.ts and ident.ts. Source: PostgreSQL manual, "The pg_hba.conf File".
 */
import { readFileSync, readdirSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import type { Token } from './tokens.ts';
import { fieldsOf } from './tokens.ts';

export interface Line {
  /** File and line, for messages: `hba.conf:12`. */
  readonly place: string;
  readonly fields: readonly (readonly Token[])[];
}

export interface Lines {
  /** As PgBouncer, a comma after blanks goes on with the field: `ann , bob`. */
  readonly isPgbouncer: boolean;
  readonly lines: Line[];
  readonly problems: string[];
}

/** As in PostgreSQL. */
const deepestInclude = 10;
const longestFileBytes = 16 * 1024 * 1024;

export function readLines(file: string, isPgbouncer = false): Lines {
  const found: Lines = { isPgbouncer, lines: [], problems: [] };
  readInto(found, file, basename(file), 0);
  return found;
}

function readInto(found: Lines, file: string, place: string, depth: number, isOptional = false): void {
  const text = readText(found, file, place, depth, isOptional);
  if (text === undefined) return;
  for (const { line, number } of joined(text)) {
    const here = `${basename(file)}:${number}`;
    const parsed = fieldsOf(line, found.isPgbouncer);
    if ('problem' in parsed) found.problems.push(`${here}: ${parsed.problem}`);
    else if (parsed.fields.length > 0) add(found, file, here, parsed.fields, depth);
  }
}

function readText(found: Lines, file: string, place: string, depth: number, isOptional: boolean): string | undefined {
  if (depth > deepestInclude) {
    found.problems.push(`${place}: files include each other more than ${deepestInclude} deep`);
    return undefined;
  }
  try {
    const bytes = readFileSync(file);
    if (bytes.length <= longestFileBytes) return bytes.toString('utf8').replace(/^\uFEFF/, '');
    found.problems.push(`${place}: ${file} is larger than ${longestFileBytes} bytes`);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (!(isOptional && code === 'ENOENT')) found.problems.push(`${place}: cannot read ${file}: ${code ?? message}`);
  }
  return undefined;
}

/**
 * The lines of a text, each joined with the lines that continue it after a backslash. `number` is that of the first.
 */
function* joined(text: string): Iterable<{ line: string; number: number }> {
  const lines = text.split('\n');
  for (let at = 0; at < lines.length; at++) {
    const number = at + 1;
    let line = (lines[at] as string).replace(/\r$/, '');
    while (line.endsWith('\\') && at + 1 < lines.length) {
      line = line.slice(0, -1) + (lines[++at] as string).replace(/\r$/, '');
    }
    yield { line, number };
  }
}

function add(found: Lines, file: string, place: string, fields: readonly (readonly Token[])[], depth: number): void {
  const directive = fields[0]?.length === 1 ? fields[0][0]?.text : undefined;
  if (directive === 'include' || directive === 'include_if_exists' || directive === 'include_dir') {
    const name = fields[1]?.[0]?.text ?? '';
    if (fields.length !== 2 || fields[1]?.length !== 1 || name === '') {
      found.problems.push(`${place}: ${directive} takes one name`);
      return;
    }
    const path = resolve(dirname(file), name);
    if (directive === 'include_dir') includeDirectory(found, path, place, depth);
    else readInto(found, path, place, depth + 1, directive === 'include_if_exists');
    return;
  }
  const expanded = fields.map((field) => field.flatMap((token) => expand(found, file, place, token, depth)));
  const empty = expanded.findIndex((field) => field.length === 0);
  if (empty >= 0) found.problems.push(`${place}: field ${empty + 1} is empty: its file names nobody`);
  else found.lines.push({ place, fields: expanded });
}

function includeDirectory(found: Lines, path: string, place: string, depth: number): void {
  let names: string[];
  try {
    names = readdirSync(path).filter((name) => name.endsWith('.conf') && !name.startsWith('.'));
  } catch (error) {
    found.problems.push(`${place}: cannot read ${path}: ${(error as NodeJS.ErrnoException).code ?? ''}`);
    return;
  }
  for (const name of names.sort()) readInto(found, join(path, name), place, depth + 1);
}

/** Replaces `@file` by the tokens in that file. */
function expand(found: Lines, file: string, place: string, token: Token, depth: number): Token[] {
  if (token.isQuoted || token.text.length < 2 || !token.text.startsWith('@')) return [token];
  const path = resolve(dirname(file), token.text.slice(1));
  const text = readText(found, path, place, depth + 1, false);
  const tokens: Token[] = [];
  for (const { line, number } of joined(text ?? '')) {
    const here = `${basename(path)}:${number}`;
    const parsed = fieldsOf(line);
    if ('problem' in parsed) found.problems.push(`${here}: ${parsed.problem}`);
    else for (const each of parsed.fields.flat()) tokens.push(...expand(found, path, here, each, depth + 1));
  }
  return tokens;
}
