/**
 * The table of a page of `weir top` as lines of text: the columns that fit, each as wide as what is shown of it. Pure. Called by
 * layout.ts.
 */
import { fitColumns } from '../columns.ts';
import { clean, pad, padLeft, shorten, widthOf } from '../text.ts';
import type { Frame, Row } from './frame.ts';
import { pages, type Column } from './pages.ts';
import type { TopState } from './state.ts';

/** Narrow terminals have more columns so. */
const gap = 1;

/** The line of the titles, then one for each row. */
export function tableTexts(state: TopState, frame: Frame, rows: readonly Row[], width: number): readonly string[] {
  const page = pages[state.page];
  const all = page.columns(frame);
  const columns = [...all.slice(0, page.names), ...all.slice(page.names + state.shift)];
  const headings = columns.map((column) => headingOf(column, state));
  const cells = rows.map((row) => columns.map(({ value }) => clean(String(value(row) ?? ''))));
  const sizes = headings.map((heading, index) => ({
    title: widthOf(heading),
    longest: cells.reduce((most, row) => Math.max(most, widthOf(row[index] ?? '')), 0),
  }));
  const isRight = columns.map(({ value }) => rows.some((row) => typeof value(row) === 'number'));
  const fitted = fitColumns(sizes, width, gap);
  const isLong = ({ index }: { readonly index: number }): boolean => columns[index]?.isLong === true;
  const ordered = [...fitted.filter((column) => !isLong(column)), ...fitted.filter(isLong)];
  const line = (texts: readonly string[]): string =>
    ordered
      .map(({ index, width: most }) => {
        const text = shorten(texts[index] ?? '', most);
        return isRight[index] === true ? padLeft(text, most) : pad(text, most);
      })
      .join(' '.repeat(gap));
  return [line(headings), ...cells.map(line)];
}

function headingOf({ title }: Column, state: TopState): string {
  const sort = state.sorts[state.page];
  if (title !== sort?.title) return title;
  return `${title}${sort.isReversed ? '^' : 'v'}`;
}
