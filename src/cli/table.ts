/**
 * Rows as text for people: aligned columns, or one block a row when the terminal is too narrow for that. Pure.
 * Called by the verbs that print what the admin console answered, and by `weir check`.
 */

export type Cell = string | null;

/** Control characters would move the cursor of whoever looks at an application_name. */
function clean(cell: Cell | undefined): string {
  return (cell ?? '').replace(/[\u0000-\u001f\u007f-\u009f]/g, ' ');
}

const isNumber = (text: string): boolean => /^-?\d+(\.\d+)?$/.test(text);

/** A line per row under a line of names; columns of numbers to the right. Ends with a newline. */
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

/** A block per row, `name  value` a line. */
export function blocks(names: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const width = Math.max(0, ...names.map((name) => name.length));
  const block = (row: readonly Cell[]): string =>
    names.map((name, column) => `${name.padEnd(width)}  ${clean(row[column])}`.trimEnd() + '\n').join('');
  return rows.map(block).join('\n');
}

export interface PrintedTable {
  readonly text: string;
  /** Columns that are not in it, because every row is empty or 0 there. */
  readonly leftOut: number;
}

const widthOf = (text: string): number => Math.max(...text.split('\n').map((line) => line.length));

/**
 * Aligned if that fits; else aligned without the columns that say nothing; else in blocks.
 * @param columns of the terminal; undefined = no terminal, so lines may be as long as they like
 */
export function table(
  names: readonly string[],
  rows: readonly (readonly Cell[])[],
  columns: number | undefined,
): PrintedTable {
  if (rows.length === 0) return { text: `${names.join('  ')}\n(none)\n`, leftOut: 0 };
  const whole = alignedTable(names, rows);
  if (columns === undefined || widthOf(whole) <= columns) return { text: whole, leftOut: 0 };
  const said = names.flatMap((_, column) => (rows.some((row) => !isNothing(row[column])) ? [column] : []));
  const leftOut = names.length - said.length;
  const pick = <T>(row: readonly T[]): T[] => said.flatMap((column) => row.slice(column, column + 1));
  const [fewerNames, fewerRows] = [pick(names), rows.map((row) => pick(row))];
  const fewer = alignedTable(fewerNames, fewerRows);
  return { text: widthOf(fewer) <= columns ? fewer : blocks(fewerNames, fewerRows), leftOut };
}

function isNothing(cell: Cell | undefined): boolean {
  return cell === null || cell === undefined || cell === '' || /^0(\.0+)?$/.test(cell);
}
