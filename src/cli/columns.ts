/**
 * Which columns of a table fit next to each other in a terminal, and how wide each is. Used by table.ts and top/layout.ts.
 */

export interface ColumnSize {
  /** Of its title. */
  readonly title: number;
  /** Of its longest cell. */
  readonly longest: number;
}

export interface FittedColumn {
  readonly index: number;
  readonly width: number;
}

/** A longer column may be cut to leastWidth, so that others fit beside it. */
const longWidth = 24;
const leastWidth = 16;

/**
 * The columns that fit, the first ones preferred; at least one. What is left goes to the long ones.
 * @param gap between two columns
 */
export function fitColumns(sizes: readonly ColumnSize[], columns: number, gap: number): FittedColumn[] {
  const chosen: { index: number; width: number }[] = [];
  let used = -gap;
  for (const [index, { title, longest }] of sizes.entries()) {
    const whole = Math.max(title, longest);
    const width = whole > longWidth ? Math.max(title, leastWidth) : whole;
    if (chosen.length > 0 && used + gap + width > columns) continue;
    chosen.push({ index, width: Math.min(width, columns) });
    used += gap + width;
  }
  for (const column of chosen) {
    const { title, longest } = sizes[column.index] ?? { title: 0, longest: 0 };
    const more = Math.max(0, Math.min(columns - used, Math.max(title, longest) - column.width));
    column.width += more;
    used += more;
  }
  return chosen;
}
