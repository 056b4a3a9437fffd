/**
 * What the keys of `weir top` do, as in htop and pg_top: from bytes of the terminal to names of keys, and from a state to the next
 * one. Pure. Called by top.ts.
 */
import { parseDelay } from './delay.ts';
import type { Frame } from './frame.ts';
import { pages, pagesOf } from './pages.ts';
import { visibleRows, type TopState } from './state.ts';

export type Action = { readonly kind: 'quit' | 'refresh' } | { readonly kind: 'kill'; readonly id: string };

export interface Pressed {
  readonly state: TopState;
  readonly action?: Action;
}

const sequences: Readonly<Record<string, string>> = {
  ...{ '[A': 'up', '[B': 'down', '[C': 'right', '[D': 'left', OA: 'up', OB: 'down', OC: 'right', OD: 'left' },
  ...{
    '[5~': 'pageup',
    '[6~': 'pagedown',
    '[H': 'home',
    '[F': 'end',
    OH: 'home',
    OF: 'end',
    '[1~': 'home',
    '[4~': 'end',
  },
  ...{ OP: 'f1', OQ: 'f2', OR: 'f3', OS: 'f4', '[11~': 'f1', '[12~': 'f2', '[13~': 'f3', '[14~': 'f4' },
  // The console of Linux has the second form.
  ...{ '[[A': 'f1', '[[B': 'f2', '[[C': 'f3', '[[D': 'f4', '[[E': 'f5' },
  ...{ '[15~': 'f5', '[17~': 'f6', '[21~': 'f10' },
};

const controls: Readonly<Record<string, string>> = {
  ...{ '\r': 'enter', '\n': 'enter', '\t': 'tab', '\u007f': 'backspace', '\b': 'backspace' },
  ...{ '\u0003': 'interrupt', '\u0004': 'interrupt', '\u000c': 'refresh' },
};

/** The names of the keys in what the terminal has sent; a printable character is its own name. */
export function keysOf(input: string): string[] {
  // eslint-disable-next-line no-control-regex
  const parts = input.match(/\u001b(?:O[A-Z]|\[\[[A-E]|\[[0-9;]*[A-Za-z~])|[^]/gu) ?? [];
  return parts.flatMap((part) => {
    if (part === '\u001b') return ['escape'];
    if (part.startsWith('\u001b')) return sequences[part.slice(1)] ?? [];
    return controls[part] ?? (part < ' ' ? [] : [part]);
  });
}

/** @param rowsShown how many rows of the table the terminal has, for PgUp and PgDn */
export function press(state: TopState, key: string, frame: Frame, rowsShown: number): Pressed {
  const now = { ...state, message: '' };
  if (key === 'interrupt') return { state: now, action: { kind: 'quit' } };
  if (now.prompt !== undefined) return answer(now, key);
  if (now.isHelpShown) return { state: { ...now, isHelpShown: false } };
  const next = turn(now, key, frame) ?? move(now, key, frame, rowsShown);
  if (next !== undefined) return next;
  const change = simple(now, key);
  return change ?? { state: now };
}

function simple(state: TopState, key: string): Pressed | undefined {
  switch (key) {
    case 'q':
    case 'f10':
      return { state, action: { kind: 'quit' } };
    case 'h':
    case '?':
      return { state: { ...state, isHelpShown: true } };
    case ' ':
      return { state: { ...state, isPaused: !state.isPaused }, action: { kind: 'refresh' } };
    case 'refresh':
      return { state, action: { kind: 'refresh' } };
    case '/':
      return { state: { ...state, prompt: { kind: 'filter', text: state.filter } } };
    case 'u':
      return { state: { ...state, prompt: { kind: 'user', text: state.user } } };
    case 'd':
    case 's':
      return { state: { ...state, prompt: { kind: 'delay', text: '' } } };
    case 'escape':
      return { state: { ...state, filter: '', user: '' } };
    case '<':
      return { state: sortedBy(state, -1) };
    case '>':
    case 'o':
      return { state: sortedBy(state, 1) };
    case 'r':
      return { state: reversed(state) };
    default:
      return undefined;
  }
}

/** Another page: 1 to 6, F1 to F6, Tab. */
function turn(state: TopState, key: string, frame: Frame): Pressed | undefined {
  const names = pagesOf(frame);
  const number = /^f?([1-6])$/.exec(key)?.[1];
  const index = key === 'tab' ? (names.indexOf(state.page) + 1) % names.length : Number(number) - 1;
  const page = names[index];
  if (page === undefined) return undefined;
  return { state: { ...state, page, selected: undefined, shift: 0 }, action: { kind: 'refresh' } };
}

/** The selected row and what is asked of it; columns to the left and right. */
function move(state: TopState, key: string, frame: Frame, rowsShown: number): Pressed | undefined {
  const page = pages[state.page];
  const { rows, selectedIndex } = visibleRows(state, frame);
  const last = rows.length - 1;
  const steps: Readonly<Record<string, number>> = { up: -1, down: 1, pageup: -rowsShown, pagedown: rowsShown };
  const to = key === 'home' ? 0 : key === 'end' ? last : selectedIndex + (steps[key] ?? NaN);
  if (!Number.isNaN(to)) {
    const row = rows[Math.max(0, Math.min(last, to))];
    return { state: { ...state, selected: row === undefined ? undefined : page.keyOf(row) } };
  }
  const mostShift = page.columns.length - page.names - 1;
  if (key === 'left') return { state: { ...state, shift: Math.max(0, state.shift - 1) } };
  if (key === 'right') return { state: { ...state, shift: Math.min(mostShift, state.shift + 1) } };
  if (key !== 'k') return undefined;
  const row = rows[selectedIndex];
  if (state.page !== 'clients') return { state: { ...state, message: 'k disconnects a client: see page 3' } };
  if (row === undefined) return { state: { ...state, message: 'there is no client on the page' } };
  const who = `${String(row['user'])} on ${String(row['database'])}, ${String(row['addr'])}:${String(row['port'])}`;
  return { state: { ...state, prompt: { kind: 'kill', id: String(row['id']), who }, selected: page.keyOf(row) } };
}

function sortedBy(state: TopState, step: number): TopState {
  const { columns } = pages[state.page];
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
    return { state: closed, action: { kind: 'kill', id: prompt.id } };
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
