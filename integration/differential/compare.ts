/**
 * Two transcripts of one script, compared line by line. What may differ is in one table, each with its reason.
 */
import type { Transcript } from './play.ts';

interface Allowed {
  readonly why: string;
  /** Makes a line of the server alone look as it may look through Weir; the same line if it is none of its business. */
  readonly rewrite: (direct: string, through: string) => string;
}

const fileLineRoutine = / \| F[^|]+ \| L\d+ \| R\w+$/;

const aborted = /^ {3}Error .* \| C25P02 \| .* \| Rexec_(?:bind|parse|describe_statement)_message$/;

export const allowedDifferences: readonly Allowed[] = [
  {
    why: 'A server that is new or was reset prepares the statement again: in a failed transaction it says so there.',
    rewrite: (direct, through) =>
      aborted.test(direct) && aborted.test(through) && through.endsWith('exec_parse_message')
        ? direct.replace(fileLineRoutine, fileLineRoutine.exec(through)?.[0] ?? '')
        : direct,
  },
  {
    why: 'In which line PostgreSQL says it changes with every release.',
    rewrite: (direct, through) =>
      through.endsWith(' | Fplancache.c | RRevalidateCachedQuery') ? direct.replace(/ \| L\d+(?= \| R)/, '') : direct,
  },
  {
    why: 'An error that Weir itself says does not name a file, line and routine of the server’s source.',
    rewrite: (direct, through) =>
      through.startsWith('   Error ') && !fileLineRoutine.test(through) ? direct.replace(fileLineRoutine, '') : direct,
  },
];

/** The direct transcript with every allowed difference put in: equal to `through`, or there is a real one. */
export function expectedOf(direct: Transcript, through: Transcript): Transcript {
  return direct.map((text, i) => {
    const other = through[i] ?? '';
    return allowedDifferences.reduce((line, { rewrite }) => rewrite(line, other), text);
  });
}
