/**
 * What the keys of `weir top` do, as in htop and pg_top: from a state and the name of a key (terminal-keys.ts) to the next state.
 * Pure. Called by top.ts.
 */
import { parseDelay } from './delay.ts';
import { detailLines } from './details.ts';
import type { Frame } from './frame.ts';
import { helpLines } from './help-text.ts';
import { pages, pagesOf } from './pages.ts';
import { visibleRows, type TopState } from './state.ts';

export type Action =
  | { readonly kind: 'quit' | 'refresh' | 'suspend' | 'redraw' }
  | { readonly kind: 'kill'; readonly id: string; readonly connection: number };

export interface Pressed {
  readonly state: TopState;
  readonly action?: Action;
}

/** What the terminal has room for. */
export interface Room {
  /** Rows of the table. */
  readonly rows: number;
  readonly columns: number;
}

export function press(state: TopState, key: string, frame: Frame, room: Room): Pressed {
  const now = { ...state, message: '' };
  if (key === 'interrupt') return { state: now, action: { kind: 'quit' } };
  if (key === 'suspend') return { state: now, action: { kind: 'suspend' } };
  if (now.prompt !== undefined) return answer(now, key);
  if (now.view !== 'table') return inView(now, key, frame, room);
  return turn(now, key, frame) ?? move(now, key, frame, room) ?? simple(now, key, frame) ?? { state: now };
}

function simple(state: TopState, key: string, frame: Frame): Pressed | undefined {
  switch (key) {
    case 'q':
    case 'f10':
      return { state, action: { kind: 'quit' } };
    case 'h':
    case '?':
    case 'f1':
      return { state: { ...state, view: 'help', scrolled: 0 } };
    case 'enter':
      return { state: { ...state, view: 'details', scrolled: 0 } };
    case 'Z':
      return { state: { ...state, isPaused: !state.isPaused }, action: { kind: 'refresh' } };
    case ' ':
      return { state, action: { kind: 'refresh' } };
    case 'refresh':
      return { state, action: { kind: 'redraw' } };
    case '/':
    case 'f3':
    case 'f4':
      return { state: { ...state, prompt: { kind: 'filter', text: state.filter } } };
    case 'u':
      return { state: { ...state, prompt: { kind: 'user', text: state.user } } };
    case 'd':
    case 's':
      return { state: { ...state, prompt: { kind: 'delay', text: '' } } };
    case 'k':
    case 'f9':
      return { state: asked(state, frame) };
    case 'escape':
      return { state: { ...state, filter: '', user: '' } };
    case '<':
      return { state: sortedBy(state, -1, frame) };
    case '>':
    case 'o':
    case 'f6':
      return { state: sortedBy(state, 1, frame) };
    case 'r':
    case 'I':
      return { state: reversed(state) };
    default:
      return undefined;
  }
}

/** Another page: by number, or the next or previous one. */
function turn(state: TopState, key: string, frame: Frame): Pressed | undefined {
  const names = pagesOf(frame);
  const step = key === 'tab' ? 1 : key === 'backtab' ? -1 : 0;
  const next = (names.indexOf(state.page) + step + names.length) % names.length;
  const page = names[step === 0 ? Number(/^[1-9]$/.exec(key)?.[0]) - 1 : next];
  if (page === undefined) return undefined;
  return { state: { ...state, page, selected: undefined, shift: 0 }, action: { kind: 'refresh' } };
}

/** The selected row; columns to the left and right. */
function move(state: TopState, key: string, frame: Frame, room: Room): Pressed | undefined {
  const page = pages[state.page];
  if (key === 'left') return { state: { ...state, shift: Math.max(0, state.shift - 1) } };
  const mostShift = Math.max(0, page.columns(frame).length - page.names - 1);
  if (key === 'right') return { state: { ...state, shift: Math.min(mostShift, state.shift + 1) } };
  const steps: Readonly<Record<string, number>> = { up: -1, down: 1, pageup: -room.rows, pagedown: room.rows };
  const step = key === 'home' ? -Infinity : key === 'end' ? Infinity : steps[key];
  if (step === undefined) return undefined;
  const { rows, selectedIndex } = visibleRows(state, frame);
  const row = rows[Math.max(0, Math.min(rows.length - 1, selectedIndex + step))];
  return { state: { ...state, selected: row === undefined ? undefined : page.keyOf(row) } };
}

/** In the help and the details: lines move, every other key but up and down leads back. */
function inView(state: TopState, key: string, frame: Frame, room: Room): Pressed {
  const lines = state.view === 'help' ? helpLines : detailLines(state, frame, room.columns);
  const last = Math.max(0, lines.length - room.rows - 1);
  const steps: Readonly<Record<string, number>> = { up: -1, down: 1, pageup: -room.rows, pagedown: room.rows };
  const step = key === 'home' ? -Infinity : key === 'end' ? Infinity : steps[key];
  if (step === undefined) return { state: { ...state, view: 'table', scrolled: 0 } };
  return { state: { ...state, scrolled: Math.max(0, Math.min(last, state.scrolled + step)) } };
}

/** Whether to disconnect the selected client. */
function asked(state: TopState, frame: Frame): TopState {
  if (state.page !== 'clients') return { ...state, message: 'k disconnects a client: see the page of clients' };
  const { rows, selectedIndex } = visibleRows(state, frame);
  const row = rows[selectedIndex];
  if (row === undefined) return { ...state, message: 'there is no client on the page' };
  const who = `${String(row['user'])} on ${String(row['database'])}, ${String(row['addr'])}:${String(row['port'])}`;
  const prompt = { kind: 'kill', id: String(row['id']), connection: frame.connection, who } as const;
  return { ...state, prompt, selected: pages.clients.keyOf(row) };
}

function sortedBy(state: TopState, step: number, frame: Frame): TopState {
  const columns = pages[state.page].columns(frame);
  const old = columns.findIndex(({ title }) => title === state.sorts[state.page]?.title);
  // Without one, the first step goes to the first column or the last.
  const from = old === -1 && step < 0 ? 0 : old;
  const title = columns[(from + step + columns.length) % columns.length]?.title ?? '';
  const sort = { title, isReversed: false };
  return { ...state, sorts: { ...state.sorts, [state.page]: sort }, message: `sorted by ${title}` };
}

function reversed(state: TopState): TopState {
  const sort = state.sorts[state.page] ?? { title: '', isReversed: false };
  return { ...state, sorts: { ...state.sorts, [state.page]: { ...sort, isReversed: !sort.isReversed } } };
}

const longestAnswer = 200;

/** A key while there is a question at the bottom. */
function answer(state: TopState, key: string): Pressed {
  const { prompt } = state;
  const closed = { ...state, prompt: undefined };
  if (prompt === undefined) return { state };
  if (prompt.kind === 'kill') {
    if (key !== 'y' && key !== 'Y') return { state: { ...closed, message: 'nobody was disconnected' } };
    return { state: closed, action: { kind: 'kill', id: prompt.id, connection: prompt.connection } };
  }
  if (key === 'escape') return { state: closed };
  if (key === 'enter') return entered(closed, prompt.kind, prompt.text.trim());
  const isCharacter = [...key].length === 1;
  const longer = isCharacter ? `${prompt.text}${key}`.slice(0, longestAnswer) : prompt.text;
  const text = key === 'backspace' ? [...prompt.text].slice(0, -1).join('') : longer;
  return { state: { ...state, prompt: { ...prompt, text } } };
}

function entered(state: TopState, kind: 'filter' | 'user' | 'delay', text: string): Pressed {
  if (kind !== 'delay') return { state: { ...state, [kind]: text, selected: undefined } };
  if (text === '') return { state };
  const delayMs = parseDelay(text);
  if (delayMs === undefined) return { state: { ...state, message: `${text}: write seconds from 0.1 to 3600` } };
  return { state: { ...state, delayMs }, action: { kind: 'refresh' } };
}
