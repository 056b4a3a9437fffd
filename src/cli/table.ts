/**
 * Formats rows as text: aligned columns, or one block per row if the terminal is too narrow. Called by verbs.ts and
 * check.ts.
 */

export type Cell = string | null;

/** Replaces control characters, which a client can put into its application_name to confuse the terminal. */
function clean(cell: Cell | undefined): string {
  return (cell ?? '').replace(/[\u0000-\u001f\u007f-\u009f]/g, ' ');
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

/** A block per row, with one line `name  value` per column. */
export function blocks(names: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const width = Math.max(0, ...names.map((name) => name.length));
  const block = (row: readonly Cell[]): string =>
    names.map((name, column) => `${name.padEnd(width)}  ${clean(row[column])}`.trimEnd() + '\n').join('');
  return rows.map(block).join('\n');
}

export interface PrintedTable {
  readonly text: string;
  /** Number of columns left out because they are empty or 0 in every row. */
  readonly leftOut: number;
}

const widthOf = (text: string): number => Math.max(...text.split('\n').map((line) => line.length));

/**
 * An aligned table if it fits; else one without the columns that are empty or 0 everywhere; else blocks.
 * @param columns width of the terminal; undefined: no terminal, so lines may have any length
 */
export function table(
  names: readonly string[],
  rows: readonly (readonly Cell[])[],
  columns: number | undefined,
): PrintedTable {
  if (rows.length === 0) return { text: `${names.join('  ')}\n(none)\n`, leftOut: 0 };
  const whole = alignedTable(names, rows);
  if (columns === undefined || widthOf(whole) <= columns) return { text: whole, leftOut: 0 };
  const filled = names.flatMap((_, column) => (rows.some((row) => !isNothing(row[column])) ? [column] : []));
  const leftOut = names.length - filled.length;
  const pick = <T>(row: readonly T[]): T[] => filled.flatMap((column) => row.slice(column, column + 1));
  const [fewerNames, fewerRows] = [pick(names), rows.map((row) => pick(row))];
  const fewer = alignedTable(fewerNames, fewerRows);
  return { text: widthOf(fewer) <= columns ? fewer : blocks(fewerNames, fewerRows), leftOut };
}

function isNothing(cell: Cell | undefined): boolean {
  return cell === null || cell === undefined || cell === '' || /^0(\.0+)?$/.test(cell);
}
