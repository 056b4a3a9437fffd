/**
 * Lays `weir top` out: from what was chosen, what Weir said and the size of the terminal to lines of text with a style each. Pure.
 * Called by top.ts; screen.ts draws the lines.
 */
import { clean, columnsThatFit } from '../table.ts';
import { summaryOf, type Frame, type Row } from './frame.ts';
import { helpLines } from './help-text.ts';
import { pages, pagesOf, type Column } from './pages.ts';
import { visibleRows, type Prompt, type TopState } from './state.ts';

export type Style = 'plain' | 'bold' | 'header' | 'selected' | 'warning';

export interface Line {
  readonly text: string;
  readonly style: Style;
}

export interface Size {
  readonly columns: number;
  readonly rows: number;
}

export interface Connection {
  /** HOST:PORT. */
  readonly where: string;
  /** Why Weir does not answer; undefined: it does. */
  readonly problem: string | undefined;
}

/** Above the table: title, summary, pages, names of the columns; below it, one line. */
const linesAround = 5;
const longestCell = 32;

export function rowsShown({ rows }: Size): number {
  return Math.max(1, rows - linesAround);
}

export function layout(state: TopState, frame: Frame, connection: Connection, size: Size): Line[] {
  const plain = (text: string): Line => ({ text, style: 'plain' });
  const body = state.isHelpShown ? helpLines.map(plain) : tableLines(state, frame, size);
  const lines: Line[] = [
    { text: title(state, frame, connection), style: 'bold' },
    plain(summaryLine(frame, size.columns)),
    plain(pagesLine(state, frame, size.columns)),
    ...body.slice(0, rowsShown(size) + 1),
  ];
  while (lines.length < size.rows - 1) lines.push(plain(''));
  // A terminal of three lines still has the question at the bottom.
  const all = [...lines.slice(0, Math.max(0, size.rows - 1)), bottom(state, frame, connection)];
  return all.map(({ text, style }) => ({ text: cut(text, size.columns), style }));
}

/** For a pipe: everything, with the columns that fit if there is a width. */
export function wholeTable(state: TopState, frame: Frame, connection: Connection, columns: number | undefined): string {
  const width = columns ?? Infinity;
  const { texts } = table(state, visibleRows(state, frame).rows, width);
  const head = [title(state, frame, connection), summaryLine(frame, width), ''];
  return [...head, ...texts].map((text) => `${cut(text, width).trimEnd()}\n`).join('');
}

function cut(text: string, columns: number): string {
  return text.length <= columns ? text : [...text].slice(0, columns).join('');
}

function title(state: TopState, frame: Frame, { where }: Connection): string {
  const time = new Date(frame.atMs).toISOString().slice(11, 19);
  return `weir top - ${where} - ${time} UTC - ${state.isPaused ? 'PAUSED' : `every ${state.delayMs / 1_000} s`}`;
}

/** As many parts as fit, the most important first. */
function summaryLine(frame: Frame, columns: number): string {
  const sums = summaryOf(frame);
  const parts = [
    `${sums.queriesPerSecond} queries/s`,
    `${sums.waiting} waiting`,
    `${sums.clients} clients`,
    `${sums.serversActive}/${sums.servers} servers busy`,
    `${sums.xactsPerSecond} xacts/s`,
    `maxwait ${sums.maxwaitMs} ms`,
  ];
  while (parts.length > 1 && parts.join(', ').length > columns) parts.pop();
  return parts.join(', ');
}

function pagesLine(state: TopState, frame: Frame, columns: number): string {
  const names = pagesOf(frame);
  const name = (page: string): string => (page === state.page ? `[${page}]` : page);
  const long = names.map((page, index) => `${index + 1} ${name(page)}`).join('  ');
  if (long.length <= columns) return long;
  return names.map((page, index) => (page === state.page ? `${index + 1}[${page}]` : String(index + 1))).join(' ');
}

interface Table {
  /** The names of the columns, and a line for each row. */
  readonly texts: readonly string[];
}

function tableLines(state: TopState, frame: Frame, size: Size): Line[] {
  const { rows, selectedIndex } = visibleRows(state, frame);
  const height = rowsShown(size);
  // By whole screens, so that the rows stand still while the selection moves.
  const first = Math.floor(selectedIndex / height) * height;
  const shown = rows.slice(first, first + height);
  const { texts } = table(state, shown, size.columns);
  const page = pages[state.page];
  const width = Math.min(size.columns, 1_000);
  return texts.map((text, index): Line => {
    if (index === 0) return { text: text.padEnd(width), style: 'header' };
    const row = shown[index - 1];
    if (first + index - 1 === selectedIndex) return { text: text.padEnd(width), style: 'selected' };
    return { text, style: row !== undefined && page.isNotable(row) ? 'warning' : 'plain' };
  });
}

/** One space between columns: narrow terminals have more of them. */
function table(state: TopState, rows: readonly Row[], width: number): Table {
  const page = pages[state.page];
  const sort = state.sorts[state.page];
  const heading = ({ title: text }: Column): string =>
    text === sort?.title ? `${text}${sort.isReversed ? '^' : 'v'}` : text;
  const movable = page.columns.slice(page.names);
  const columns = [...page.columns.slice(0, page.names), ...movable.slice(state.shift)];
  const cells = rows.map((row) => columns.map((column) => cellText(column, row)));
  const widths = columns.map((column, index) =>
    cells.reduce((most, row) => Math.max(most, row[index]?.length ?? 0), heading(column).length),
  );
  const chosen = columnsThatFit(widths, width, 1);
  const isRight = columns.map((column) => rows.some((row) => typeof column.value(row) === 'number'));
  const line = (texts: readonly string[]): string =>
    chosen
      .map((index) => {
        const [text, most] = [texts[index] ?? '', widths[index] ?? 0];
        return isRight[index] ? text.padStart(most) : text.padEnd(most);
      })
      .join(' ');
  return { texts: [line(columns.map(heading)), ...cells.map(line)] };
}

function cellText(column: Column, row: Row): string {
  const value = column.value(row);
  const text = clean(value === null ? '' : String(value));
  return text.length <= longestCell ? text : `${text.slice(0, longestCell - 1)}~`;
}

function bottom(state: TopState, frame: Frame, { problem }: Connection): Line {
  const { prompt, message } = state;
  if (prompt !== undefined) return { text: question(prompt), style: 'bold' };
  if (problem !== undefined) return { text: clean(`no answer, trying again: ${problem}`), style: 'warning' };
  if (message !== '') return { text: clean(message), style: 'bold' };
  const { rows, total } = visibleRows(state, frame);
  const chosen = [state.filter === '' ? '' : ` /${state.filter}`, state.user === '' ? '' : ` user ${state.user}`];
  const count = rows.length === total ? '' : `  ${rows.length} of ${total}${chosen.join('')} (Esc: all)`;
  return { text: clean(`q quit  h help${count}`), style: 'plain' };
}

function question(prompt: Prompt): string {
  switch (prompt.kind) {
    case 'kill':
      return clean(`disconnect client ${prompt.id} (${prompt.who})? y/n `);
    case 'filter':
      return clean(`rows with: ${prompt.text}_`);
    case 'user':
      return clean(`only user (empty: all): ${prompt.text}_`);
    case 'delay':
      return clean(`seconds between two looks: ${prompt.text}_`);
  }
}
