/**
 * Everything that Weir says of the selected row of `weir top`, a column below the other: what a narrow terminal leaves out, and texts
 * that are longer than a column. Pure. Called by layout.ts and keys.ts.
 */
import { clean, pad, wrap } from '../text.ts';
import type { Frame } from './frame.ts';
import { pages } from './pages.ts';
import { visibleRows, type TopState } from './state.ts';

export function detailLines(state: TopState, frame: Frame, width: number): readonly string[] {
  const { rows, selectedIndex } = visibleRows(state, frame);
  const row = rows[selectedIndex];
  if (row === undefined) return ['there is no row'];
  const shown = pages[state.page].columns(frame).map(({ title, value }) => [title, value(row)] as const);
  const titles = new Set(shown.map(([title]) => title));
  const others = Object.entries(row).filter(([title]) => !titles.has(title));
  const filled = [...shown, ...others].filter(([, value]) => value !== null && value !== '');
  const nameWidth = Math.min(
    filled.reduce((most, [title]) => Math.max(most, title.length), 0),
    Math.floor(width / 2),
  );
  return filled.flatMap(([title, value]) =>
    wrap(clean(String(value)), width - nameWidth - 1).map(
      (text, index) => `${pad(index === 0 ? title.slice(0, nameWidth) : '', nameWidth)} ${text}`,
    ),
  );
}
