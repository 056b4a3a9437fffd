/**
 * Formats rows as text: aligned columns, or one block per row if the terminal is too narrow. Called by verbs.ts and
 * check.ts.
 */

export type Cell = string | null;

/** Replaces characters that control the terminal or turn the direction of text: a client can put them into its application_name. */
export function clean(cell: Cell | undefined): string {
  return (cell ?? '').replace(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, ' ');
}

const isNumber = (text: string): boolean => /^-?\d+(\.\d+)?$/.test(text);

/** A line of names and a line per row; columns of numbers are right-aligned. Ends with a newline. */
export function alignedTable(names: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const cells = rows.map((row) => names.map((_, column) => clean(row[column])));
  const widths = names.map((name, column) => Math.max(name.length, ...cells.map((row) => row[column]?.length ?? 0)));
  const isRight = names.map(
    (_, column) => cells.length > 0 && cells.every((row) => row[column] === '' || isNumber(row[column] ?? '')),
  );
  const line = (row: readonly string[]): string =>
    row
      .map((text, column) => (isRight[column] ? text.padStart(widths[column] ?? 0) : text.padEnd(widths[column] ?? 0)))
      .join('  ')
      .trimEnd();
  return [line(names), ...cells.map(line)].map((text) => `${text}\n`).join('');
}

/**
 * Indices of the columns that fit next to each other, the first ones preferred; at least one.
 * @param gap between two columns
 */
export function columnsThatFit(widths: readonly number[], columns: number, gap: number): number[] {
  const chosen: number[] = [];
  let used = -gap;
  for (const [index, width] of widths.entries()) {
    if (chosen.length > 0 && used + gap + width > columns) continue;
    chosen.push(index);
    used += gap + width;
  }
  return chosen;
}

/** A block per row, with one line `name  value` per column. */
export function blocks(names: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const width = Math.max(0, ...names.map((name) => name.length));
  const block = (row: readonly Cell[]): string =>
    names.map((name, column) => `${name.padEnd(width)}  ${clean(row[column])}`.trimEnd() + '\n').join('');
  return rows.map(block).join('\n');
}

export interface PrintedTable {
  readonly text: string;
  /** Number of columns left out. */
  readonly leftOut: number;
  /** Some of them have something in them. */
  readonly isShortened?: boolean;
}

const widthOf = (text: string): number => Math.max(...text.split('\n').map((line) => line.length));

/** A table of these columns as far as they fit, the first ones preferred; undefined if there are none of them. */
function tellingTable(
  names: readonly string[],
  rows: readonly (readonly Cell[])[],
  columns: number,
  telling: readonly string[],
): PrintedTable | undefined {
  const wanted = telling.map((name) => names.indexOf(name)).filter((index) => index !== -1);
  if (wanted.length === 0) return undefined;
  const longest = (index: number): number =>
    rows.reduce((most, row) => Math.max(most, clean(row[index]).length), (names[index] ?? '').length);
  const fitting = columnsThatFit(wanted.map(longest), columns, 2).map((at) => wanted[at] ?? 0);
  const pick = <T>(row: readonly T[]): T[] => fitting.flatMap((index) => row.slice(index, index + 1));
  const text = alignedTable(
    pick(names),
    rows.map((row) => pick(row)),
  );
  return widthOf(text) <= columns ? { text, leftOut: names.length - fitting.length, isShortened: true } : undefined;
}

/**
 * An aligned table if it fits; else one without the columns that are empty or 0 everywhere; else the most telling columns that
 * fit; else blocks.
 * @param columns width of the terminal; undefined: no terminal, so lines may have any length
 */
export function table(
  names: readonly string[],
  rows: readonly (readonly Cell[])[],
  columns: number | undefined,
  telling: readonly string[] = [],
): PrintedTable {
  if (rows.length === 0) return { text: `${names.join('  ')}\n(none)\n`, leftOut: 0 };
  const whole = alignedTable(names, rows);
  if (columns === undefined || widthOf(whole) <= columns) return { text: whole, leftOut: 0 };
  const filled = names.flatMap((_, column) => (rows.some((row) => !isNothing(row[column])) ? [column] : []));
  const leftOut = names.length - filled.length;
  const pick = <T>(row: readonly T[]): T[] => filled.flatMap((column) => row.slice(column, column + 1));
  const [fewerNames, fewerRows] = [pick(names), rows.map((row) => pick(row))];
  const fewer = alignedTable(fewerNames, fewerRows);
  if (widthOf(fewer) <= columns) return { text: fewer, leftOut };
  return tellingTable(names, rows, columns, telling) ?? { text: blocks(fewerNames, fewerRows), leftOut };
}

function isNothing(cell: Cell | undefined): boolean {
  return cell === null || cell === undefined || cell === '' || /^0(\.0+)?$/.test(cell);
}
