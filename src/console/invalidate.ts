/**
 * INVALIDATE: forget cached results, of tables, of tags of clients, of tags that match a pattern, or all. Answers with how many
 * there were. Listed in actions.ts.
 */
import { patternProblem } from '../cache/tag-pattern.ts';
import { readList, readName, readTable, shorten, syntaxError, type Scanner } from './parse.ts';
import type { InvalidateRequest } from './sources.ts';
import type { ConsoleCommand } from './types.ts';

const nothing: InvalidateRequest = { tables: [], tags: [], patterns: [], all: false };

function readPattern(scanner: Scanner): string {
  const pattern = readName(scanner, 'pattern');
  const problem = patternProblem(pattern);
  if (problem !== undefined) throw syntaxError(`the pattern "${shorten(pattern)}" ${problem}`);
  return pattern;
}

function read(scanner: Scanner): InvalidateRequest {
  if (scanner.takeKeyword('ALL')) return { ...nothing, all: true };
  if (scanner.takeKeyword('TABLE')) return { ...nothing, tables: readList(scanner, readTable) };
  if (scanner.takeKeyword('TAG')) return { ...nothing, tags: readList(scanner, (from) => readName(from, 'tag')) };
  if (scanner.takeKeyword('PATTERN')) return { ...nothing, patterns: readList(scanner, readPattern) };
  throw syntaxError('write INVALIDATE TABLE t, INVALIDATE TAG t, INVALIDATE PATTERN p or INVALIDATE ALL');
}

export const invalidate: ConsoleCommand = {
  name: 'INVALIDATE',
  role: 'admin',
  syntax: 'INVALIDATE TABLE t [, ...] | TAG t [, ...] | PATTERN p [, ...] | ALL',
  help: 'forget cached results',
  columns: [
    { name: 'tags', type: 'int8' },
    { name: 'entries', type: 'int8' },
  ],
  tag: 'INVALIDATE',
  parse: (scanner) => {
    const request = read(scanner);
    return async ({ sources }) => {
      const { tags, entries } = await sources.invalidate(request);
      return { rows: [[tags, entries]] };
    };
  },
};
