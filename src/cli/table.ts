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

/** @param columns of the terminal; undefined = no terminal, so lines may be as long as they like */
export function table(
  names: readonly string[],
  rows: readonly (readonly Cell[])[],
  columns: number | undefined,
): string {
  if (rows.length === 0) return `${names.join('  ')}\n(none)\n`;
  const aligned = alignedTable(names, rows);
  const width = Math.max(...aligned.split('\n').map((line) => line.length));
  return columns !== undefined && width > columns ? blocks(names, rows) : aligned;
}
