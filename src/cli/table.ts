/**
 * Formats rows as text: aligned columns, or the most telling of them, or one block per row, by the width of the terminal. Called
 * by verbs.ts and check.ts.
 */
import { fitColumns } from './columns.ts';
import { clean, pad, padLeft, shorten, widthOf, wrap } from './text.ts';

export type Cell = string | null;

type Rows = readonly (readonly Cell[])[];

const gap = 2;
const isNumber = (text: string): boolean => /^-?\d+(\.\d+)?$/.test(text);

interface Columns {
  readonly names: readonly string[];
  /** Cleaned. */
  readonly cells: readonly (readonly string[])[];
  readonly widths: readonly number[];
}

/** Those with these indices, in this order. */
function pick(names: readonly string[], rows: Rows, indices: readonly number[]): Columns {
  const cells = rows.map((row) => indices.map((index) => clean(row[index])));
  const picked = indices.map((index) => names[index] ?? '');
  const widths = picked.map((name, column) =>
    cells.reduce((most, row) => Math.max(most, widthOf(row[column] ?? '')), widthOf(name)),
  );
  return { names: picked, cells, widths };
}

/** A line of names and a line per row; columns of numbers are right-aligned. Ends with a newline. */
function aligned({ names, cells, widths }: Columns): string {
  const isRight = names.map(
    (_, column) => cells.length > 0 && cells.every((row) => row[column] === '' || isNumber(row[column] ?? '')),
  );
  const line = (row: readonly string[]): string =>
    row
      .map((text, column) => {
        const width = widths[column] ?? 0;
        return isRight[column] ? padLeft(shorten(text, width), width) : pad(shorten(text, width), width);
      })
      .join(' '.repeat(gap))
      .trimEnd();
  return [line(names), ...cells.map(line)].map((text) => `${text}\n`).join('');
}

const widthOfAll = ({ widths }: Columns): number => widths.reduce((sum, width) => sum + width + gap, -gap);

/** A block per row, with one line `name  value` per column; values are wrapped where they are longer than the line. */
function blocks({ names, cells }: Columns, columns: number): string {
  const width = Math.max(0, ...names.map((name) => name.length));
  const block = (row: readonly string[]): string =>
    names
      .map((name, column) => {
        const value = row[column] ?? '';
        const lines = width + gap + 8 > columns ? [value] : wrap(value, columns - width - gap);
        return lines
          .map((text, index) => `${pad(index === 0 ? name : '', width + gap)}${text}`.trimEnd() + '\n')
          .join('');
      })
      .join('');
  return cells.map(block).join('\n');
}

export interface PrintedTable {
  readonly text: string;
  /** Number of columns left out. */
  readonly leftOut: number;
  /** Some of them have something in them. */
  readonly isShortened?: boolean;
}

/** The columns of `telling` as far as they fit, the first ones preferred; undefined if there are none of them. */
function tellingTable(
  names: readonly string[],
  rows: Rows,
  columns: number,
  telling: readonly string[],
): PrintedTable | undefined {
  const wanted = telling
    .map((name) => names.indexOf(name))
    .filter((index) => index !== -1 && rows.some((row) => (row[index] ?? '') !== ''));
  if (wanted.length === 0) return undefined;
  const all = pick(names, rows, wanted);
  const sizes = all.widths.map((longest, index) => ({ title: widthOf(all.names[index] ?? ''), longest }));
  const fitted = fitColumns(sizes, columns, gap);
  const some = pick(
    names,
    rows,
    fitted.map(({ index }) => wanted[index] ?? 0),
  );
  const text = aligned({ ...some, widths: fitted.map(({ width }) => width) });
  return { text, leftOut: names.length - fitted.length, isShortened: true };
}

/**
 * An aligned table if it fits; else one without the columns that are empty or 0 everywhere; else the most telling columns that
 * fit; else blocks.
 * @param columns width of the terminal; undefined: no terminal, so lines may have any length
 * @param telling the columns to print where not all of them fit, the most important first
 */
export function table(
  names: readonly string[],
  rows: Rows,
  columns: number | undefined,
  telling: readonly string[] = [],
): PrintedTable {
  const title = names.join(' '.repeat(gap));
  if (rows.length === 0)
    return { text: `${title.length > (columns ?? Infinity) ? '' : `${title}\n`}(none)\n`, leftOut: 0 };
  const whole = pick(names, rows, [...names.keys()]);
  if (columns === undefined || widthOfAll(whole) <= columns) return { text: aligned(whole), leftOut: 0 };
  const filled = names.flatMap((_, column) => (rows.some((row) => !isNothing(row[column])) ? [column] : []));
  const leftOut = names.length - filled.length;
  const fewer = pick(names, rows, filled);
  if (widthOfAll(fewer) <= columns) return { text: aligned(fewer), leftOut };
  return tellingTable(names, rows, columns, telling) ?? { text: blocks(fewer, columns), leftOut };
}

function isNothing(cell: Cell | undefined): boolean {
  return cell === null || cell === undefined || cell === '' || /^0(\.0+)?$/.test(cell);
}
