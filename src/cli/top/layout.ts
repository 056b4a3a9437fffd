/**
 * Lays `weir top` out: from what was chosen, what Weir said and the size of the terminal to lines of text with a style each. Pure.
 * Called by top.ts; screen.ts draws the lines.
 */
import { clean, cut, pad, widthOf, wrap } from '../text.ts';
import { detailLines } from './details.ts';
import { summaryOf, type Frame } from './frame.ts';
import { helpLines } from './help-text.ts';
import { pages, pagesOf, refusalOf } from './pages.ts';
import { tableTexts } from './rows.ts';
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
  /** Between two looks, if it is more than was asked for: looks take long. */
  readonly restMs?: number;
}

/** Above the table: title, summary, pages, names of the columns; below it, one line. */
const linesAround = 5;

export function rowsShown({ rows }: Size): number {
  return Math.max(1, rows - linesAround);
}

export function layout(state: TopState, frame: Frame, connection: Connection, size: Size): Line[] {
  const lines: Line[] = [
    title(state, frame, connection, size.columns),
    plain(summaryLine(frame, size.columns)),
    plain(pagesLine(state, frame, size.columns)),
    ...bodyLines(state, frame, size).slice(0, rowsShown(size) + 1),
  ];
  while (lines.length < size.rows - 1) lines.push(plain(''));
  // A terminal of three lines still has the question at the bottom.
  const all = [...lines.slice(0, Math.max(0, size.rows - 1)), bottom(state, frame, connection, size.columns)];
  return all.map(({ text, style }) => ({ text: cut(text, size.columns), style }));
}

/** For a pipe: everything, with the columns that fit if there is a width. */
export function wholeTable(state: TopState, frame: Frame, connection: Connection, columns: number | undefined): string {
  const width = columns ?? Infinity;
  const refusal = refusalOf(state.page, frame);
  const body = refusal === undefined ? tableTexts(state, frame, visibleRows(state, frame).rows, width) : [refusal];
  const head = [title(state, frame, connection, width).text, summaryLine(frame, width), ''];
  return [...head, ...body].map((text) => `${cut(text, width).trimEnd()}\n`).join('');
}

const plain = (text: string): Line => ({ text, style: 'plain' });

const timeOf = (atMs: number): string => new Date(atMs).toISOString().slice(11, 19);

/** While Weir does not answer, of when the figures are. */
function title(state: TopState, frame: Frame, { where, problem, restMs = 0 }: Connection, columns: number): Line {
  if (problem !== undefined) {
    const since = `NO ANSWER since ${timeOf(frame.atMs)} UTC`;
    return { text: joinedToFit([since, `weir top - ${where}`], ' - ', columns), style: 'warning' };
  }
  const everyS = Math.max(state.delayMs, Math.round(restMs / 100) * 100) / 1_000;
  const pace = state.isPaused ? 'PAUSED' : `every ${everyS} s`;
  const parts = [`weir top - ${where}`, `${timeOf(frame.atMs)} UTC`, pace];
  // The name of the host may be longer than the terminal.
  if (state.isPaused) parts.unshift(parts.pop() ?? '');
  return { text: joinedToFit(parts, ' - ', columns), style: 'bold' };
}

/** As many of the first parts as fit; at least one. */
function joinedToFit(parts: readonly string[], separator: string, columns: number): string {
  const kept = [...parts];
  while (kept.length > 1 && widthOf(kept.join(separator)) > columns) kept.pop();
  return kept.join(separator);
}

/** The most important first. */
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
  return joinedToFit(parts, ', ', columns);
}

function pagesLine(state: TopState, frame: Frame, columns: number): string {
  const names = pagesOf(frame);
  const name = (page: string): string => (page === state.page ? `[${page}]` : page);
  const long = names.map((page, index) => `${index + 1} ${name(page)}`).join('  ');
  if (long.length <= columns) return long;
  return names.map((page, index) => (page === state.page ? `${index + 1}[${page}]` : String(index + 1))).join(' ');
}

function bodyLines(state: TopState, frame: Frame, size: Size): Line[] {
  if (state.view === 'help') return helpLines.slice(state.scrolled).map(plain);
  if (state.view === 'details') return detailLines(state, frame, size.columns).slice(state.scrolled).map(plain);
  const refusal = refusalOf(state.page, frame);
  if (refusal !== undefined) return ['', ...wrap(clean(refusal), size.columns)].map(plain);
  return tableLines(state, frame, size);
}

function tableLines(state: TopState, frame: Frame, size: Size): Line[] {
  const { rows, selectedIndex } = visibleRows(state, frame);
  const height = rowsShown(size);
  // By whole screens, so that the rows stand still while the selection moves.
  const first = Math.floor(selectedIndex / height) * height;
  const shown = rows.slice(first, first + height);
  const page = pages[state.page];
  return tableTexts(state, frame, shown, size.columns).map((text, index): Line => {
    if (index === 0) return { text: pad(text, size.columns), style: 'header' };
    const row = shown[index - 1];
    if (first + index - 1 === selectedIndex) return { text: pad(text, size.columns), style: 'selected' };
    return { text, style: row !== undefined && page.isNotable(row) ? 'warning' : 'plain' };
  });
}

function bottom(state: TopState, frame: Frame, { problem }: Connection, columns: number): Line {
  const { prompt, message } = state;
  if (prompt !== undefined) return { text: question(prompt, columns), style: 'bold' };
  if (message !== '') return { text: clean(message), style: 'bold' };
  if (problem !== undefined) return { text: clean(`trying again: ${problem}`), style: 'warning' };
  if (state.view === 'help') return plain('any other key: back');
  if (state.view === 'details') return plain('arrows: more lines  any other key: back');
  const { rows, selectedIndex, total } = visibleRows(state, frame);
  const place = rows.length === 0 ? '' : `row ${selectedIndex + 1} of ${rows.length}`;
  const left = total - rows.length;
  const chosen = [
    ...(state.filter === '' ? [] : [`/${clean(state.filter)}`]),
    ...(state.user === '' ? [] : [`user ${clean(state.user)}`]),
  ];
  const without = left === 0 ? '' : `${left} more without ${chosen.join(' and ')} (Esc)`;
  const parts = ['q quit', 'h help', place, without];
  return plain(
    joinedToFit(
      parts.filter((part) => part !== ''),
      '  ',
      columns,
    ),
  );
}

/** The end of what was typed is always seen. */
function question(prompt: Prompt, columns: number): string {
  if (prompt.kind === 'kill') {
    const [before, after] = [`disconnect client ${prompt.id}`, '? y/n '];
    const who = cut(clean(` (${prompt.who})`), Math.max(0, columns - before.length - after.length));
    return `${before}${who}${after}`;
  }
  const words = {
    filter: 'rows with: ',
    user: 'only user (empty: all): ',
    delay: 'seconds between two looks: ',
  }[prompt.kind];
  let typed = clean(prompt.text);
  while (typed !== '' && widthOf(words) + widthOf(typed) + 1 > columns) typed = [...typed].slice(1).join('');
  return `${words}${typed}_`;
}
