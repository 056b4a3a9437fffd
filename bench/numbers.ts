/** Small sums over measurements, and numbers for people to read. */

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle];
  if (upper === undefined) throw new Error('median of nothing');
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? upper) + upper) / 2;
}

/** The median of those that could be measured; undefined when none could. */
export function medianOf(values: readonly (number | undefined)[]): number | undefined {
  const known = values.filter((value) => value !== undefined);
  return known.length === 0 ? undefined : median(known);
}

/** Undefined when one of the two could not be measured. */
export function difference(after: number | undefined, before: number | undefined): number | undefined {
  return after === undefined || before === undefined ? undefined : after - before;
}

/** 12345.6 -> "12,346"; three significant digits below a hundred; "-" for nothing. */
export function show(value: number | undefined): string {
  if (value === undefined || Number.isNaN(value)) return '-';
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString('en-US');
  return String(Number(value.toPrecision(3)));
}

/** The value below which that part of all is. @param sorted from small to large; undefined for none */
export function quantile(sorted: readonly number[], part: number): number | undefined {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))];
}

/** Bars of text, one for each value, the longest as long as the width. */
export function bars(values: readonly (readonly [string, number])[], width = 50): string[] {
  const most = Math.max(...values.map(([, value]) => value));
  const label = Math.max(...values.map(([name]) => name.length));
  return values.map(([name, value]) => {
    const length = most === 0 ? 0 : Math.round((value / most) * width);
    return `${name.padEnd(label)} |${'#'.repeat(length)} ${show(value)}`;
  });
}

const levels = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'] as const;

/** A line of text for each row of values over time: the highest of all is a whole block. */
export function lines(rows: readonly (readonly [string, readonly number[]])[]): string[] {
  const most = Math.max(1, ...rows.flatMap(([, values]) => values));
  const label = Math.max(...rows.map(([name]) => name.length));
  const level = (value: number): string => levels[Math.ceil((value / most) * (levels.length - 1))] ?? '?';
  return rows.map(([name, values]) => `${name.padEnd(label)} |${values.map(level).join('')}|`);
}
