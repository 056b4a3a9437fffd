/**
 * What the user of `weir top` has chosen, and which rows that leaves on the page. Pure. Used by keys.ts, layout.ts and details.ts.
 */
import type { Frame, Row } from './frame.ts';
import { pages, type Column, type PageName, type Value } from './pages.ts';

export interface Sort {
  readonly title: string;
  readonly isReversed: boolean;
}

export type Prompt =
  | { readonly kind: 'filter' | 'user' | 'delay'; readonly text: string }
  /** `connection`: of the frame that had the client. */
  | { readonly kind: 'kill'; readonly id: string; readonly connection: number; readonly who: string };

export interface TopState {
  readonly page: PageName;
  readonly sorts: Partial<Readonly<Record<PageName, Sort>>>;
  /** In any column, without regard to case. */
  readonly filter: string;
  /** '': every user. */
  readonly user: string;
  /** The key of the row; undefined: the first one. */
  readonly selected: string | undefined;
  /** Columns behind the names that have moved out to the left. */
  readonly shift: number;
  readonly isPaused: boolean;
  /** details: of the selected row. */
  readonly view: 'table' | 'details' | 'help';
  /** Lines of the view, if it is no table, that have moved out at the top. */
  readonly scrolled: number;
  readonly delayMs: number;
  readonly prompt: Prompt | undefined;
  /** Until the next key, or some seconds. */
  readonly message: string;
}

export function initialState(page: PageName, delayMs: number): TopState {
  const choice = { page, sorts: {}, filter: '', user: '', selected: undefined, shift: 0, delayMs };
  return { ...choice, isPaused: false, view: 'table', scrolled: 0, prompt: undefined, message: '' };
}

export interface VisibleRows {
  readonly rows: readonly Row[];
  readonly selectedIndex: number;
  /** Without the filter. */
  readonly total: number;
}

export function visibleRows(state: TopState, frame: Frame): VisibleRows {
  const page = pages[state.page];
  const columns = page.columns(frame);
  const all = page.rows(frame);
  const words = state.filter.toLowerCase();
  const isWanted = (row: Row): boolean => {
    if (state.user !== '' && 'user' in row && row['user'] !== state.user) return false;
    const has = ({ value }: Column): boolean =>
      String(value(row) ?? '')
        .toLowerCase()
        .includes(words);
    return words === '' || columns.some(has);
  };
  const rows = all.filter(isWanted);
  const sort = state.sorts[state.page];
  const column = columns.find(({ title }) => title === sort?.title);
  const sorted = column === undefined ? rows : rows.sort(byColumn(column));
  if (sort?.isReversed === true) sorted.reverse();
  const index = sorted.findIndex((row) => page.keyOf(row) === state.selected);
  return { rows: sorted, selectedIndex: Math.max(0, index), total: all.length };
}

/** Large numbers first, as in top; texts from a to z; nothing at the end. */
function byColumn({ value }: Column): (a: Row, b: Row) => number {
  return (rowA, rowB) => {
    const [a, b] = [value(rowA), value(rowB)];
    if (isNothing(a) || isNothing(b)) return Number(isNothing(a)) - Number(isNothing(b));
    if (typeof a === 'number' && typeof b === 'number') return b - a;
    return String(a) < String(b) ? -1 : Number(String(a) > String(b));
  };
}

const isNothing = (value: Value): boolean => value === null || value === '';
