/**
 * Checks the name of a database that a command has. Used by actions.ts and explain-pool.ts.
 */
import { didYouMean } from '../config/suggest.ts';
import { WeirError } from '../errors/errors.ts';
import { shorten } from './parse.ts';
import type { CommandContext } from './types.ts';

/** @throws WeirError console_refused */
export function knownDatabase({ sources }: CommandContext, database: string): void {
  const names = [...sources.databases()].map((row) => row.name);
  // With a "*" entry any name may be a database: the action checks it.
  if (names.includes(database) || names.includes('*')) return;
  const guess = didYouMean(database, names);
  const what = `there is no database "${shorten(database)}"${guess === undefined ? '' : `; did you mean "${guess}"?`}`;
  throw new WeirError('console_refused', { what });
}
