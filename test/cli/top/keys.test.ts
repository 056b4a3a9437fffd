/** Keys of `weir top`: what each changes in which state. */
import { describe, expect, it } from 'vitest';
import { press, type Action } from '../../../src/cli/top/keys.ts';
import { initialState, visibleRows, type TopState } from '../../../src/cli/top/state.ts';
import { frame } from './fixtures.ts';

const shown = frame();
const clients = initialState('clients', 2_000);
const room = { rows: 10, columns: 80 };

function type(state: TopState, ...keys: string[]): TopState {
  return keys.reduce((now, key) => press(now, key, shown, room).state, state);
}
const actionOf = (state: TopState, key: string): Action | undefined => press(state, key, shown, room).action;
const ids = (state: TopState): unknown[] => visibleRows(state, shown).rows.map((row) => row['id']);

const prompt = { kind: 'filter', text: 'a' } as const;
const kill = { kind: 'kill', id: '2', connection: 1, who: 'app' } as const;

/** A state, a key, what it changes, what is done. */
const table: readonly [string, Partial<TopState>, string, Partial<TopState>, Action?][] = [
  ['table', {}, 'q', {}, { kind: 'quit' }],
  ['table', {}, 'f10', {}, { kind: 'quit' }],
  ['table', {}, 'interrupt', {}, { kind: 'quit' }],
  ['table', {}, 'suspend', {}, { kind: 'suspend' }],
  ['table', {}, 'h', { view: 'help' }],
  ['table', {}, '?', { view: 'help' }],
  ['table', {}, 'f1', { view: 'help' }],
  ['table', {}, 'enter', { view: 'details' }],
  ['table', {}, ' ', {}, { kind: 'refresh' }],
  ['table', {}, 'refresh', {}, { kind: 'redraw' }],
  ['table', {}, 'Z', { isPaused: true }, { kind: 'refresh' }],
  ['table', { isPaused: true }, 'Z', { isPaused: false }, { kind: 'refresh' }],
  ['table', { filter: 'a' }, '/', { prompt }],
  ['table', { filter: 'a' }, 'f4', { prompt }],
  ['table', { user: 'x' }, 'u', { prompt: { kind: 'user', text: 'x' } }],
  ['table', {}, 'd', { prompt: { kind: 'delay', text: '' } }],
  ['table', {}, 's', { prompt: { kind: 'delay', text: '' } }],
  ['table', { filter: 'a', user: 'x' }, 'escape', { filter: '', user: '' }],
  ['table', { message: 'old' }, 'x', { message: '' }],
  ['table', {}, 'left', { shift: 0 }],
  ['table', {}, 'right', { shift: 1 }],
  ['help', { view: 'help' }, 'q', { view: 'table' }],
  ['help', { view: 'help' }, 'k', { view: 'table' }],
  ['help', { view: 'help' }, 'down', { view: 'help', scrolled: 1 }],
  ['help', { view: 'help', scrolled: 1 }, 'up', { view: 'help', scrolled: 0 }],
  ['help', { view: 'help' }, 'interrupt', { view: 'help' }, { kind: 'quit' }],
  ['details', { view: 'details' }, 'enter', { view: 'table' }],
  ['details', { view: 'details' }, 'end', { view: 'details', scrolled: 1 }],
  ['filter', { prompt }, 'q', { prompt: { kind: 'filter', text: 'aq' } }],
  ['filter', { prompt }, ' ', { prompt: { kind: 'filter', text: 'a ' } }],
  ['filter', { prompt }, 'f1', { prompt }],
  ['filter', { prompt }, 'backspace', { prompt: { kind: 'filter', text: '' } }],
  ['filter', { prompt }, 'escape', { prompt: undefined, filter: '' }],
  ['filter', { prompt }, 'enter', { prompt: undefined, filter: 'a' }],
  ['filter', { prompt }, 'interrupt', {}, { kind: 'quit' }],
  ['kill', { prompt: kill }, 'y', { prompt: undefined }, { kind: 'kill', id: '2', connection: 1 }],
  ['kill', { prompt: kill }, 'Y', { prompt: undefined }, { kind: 'kill', id: '2', connection: 1 }],
  ...['n', 'enter', 'escape', ' ', 'q', 'k', 'up'].map(
    (key): [string, Partial<TopState>, string, Partial<TopState>] => [
      'kill',
      { prompt: kill },
      key,
      { prompt: undefined, message: 'nobody was disconnected' },
    ],
  ),
];

it.each(table)('in %s %j, %s', (_, before, key, after, action) => {
  const pressed = press({ ...clients, ...before }, key, shown, room);
  expect(pressed.state).toMatchObject(after);
  expect(pressed.action).toEqual(action);
});

describe('pages', () => {
  it('by number and Tab', () => {
    expect(type(clients, '1').page).toBe('pools');
    expect(type(clients, '3').page).toBe('statements');
    expect(type(clients, 'tab').page).toBe('servers');
    expect(type(clients, 'backtab').page).toBe('statements');
    expect(type(clients, '6', 'tab').page).toBe('pools');
    expect(type(clients, '1', 'backtab').page).toBe('databases');
    expect(actionOf(clients, '1')).toEqual({ kind: 'refresh' });
  });

  it('no page of workers where there is one', () => {
    expect(type(clients, '7').page).toBe('clients');
    expect(type(clients, '9').page).toBe('clients');
  });
});

describe('rows', () => {
  it('sort, reverse', () => {
    expect(ids(clients)).toEqual([2, 10, 1]);
    expect(ids(type(clients, '>'))).toEqual([10, 2, 1]);
    expect(ids(type(clients, 'f6', 'r'))).toEqual([1, 2, 10]);
    expect(ids(type(clients, '<'))).toEqual([2, 10, 1]);
    expect(type(clients, '<').message).toBe('sorted by prepared_statements');
    expect(ids(type(clients, 'I'))).toEqual([1, 10, 2]);
  });

  it('the selection stays on its row when rows move', () => {
    const onTen = type(clients, 'down');
    expect(visibleRows(onTen, shown).selectedIndex).toBe(1);
    expect(visibleRows(type(onTen, '>'), shown).selectedIndex).toBe(0);
    expect(visibleRows(type(clients, 'end', 'down', 'pagedown'), shown).selectedIndex).toBe(2);
    expect(visibleRows(type(clients, 'end', 'home'), shown).selectedIndex).toBe(0);
    expect(visibleRows(type(clients, 'pageup', 'up'), shown).selectedIndex).toBe(0);
  });

  it('filter and user; Escape shows all again', () => {
    const jobs = type(clients, '/', 'J', 'O', 'x', 'backspace', 'B', '1', 'enter');
    expect(ids(jobs)).toEqual([10, 1]);
    expect(ids(type(jobs, 'u', 'a', 'p', 'p', 'enter'))).toEqual([1]);
    expect(ids(type(jobs, 'escape'))).toHaveLength(3);
    expect(type(clients, '/', 'q', 'escape')).toMatchObject({ filter: '', prompt: undefined });
  });

  it('a page without rows takes every key', () => {
    const none = frame({ 'SHOW CLIENTS': [] });
    for (const key of ['up', 'end', 'pagedown', 'right', 'enter', '>', 'r'])
      expect(press(clients, key, none, room).state.page).toBe('clients');
    expect(press(clients, 'k', none, room).state).toMatchObject({
      prompt: undefined,
      message: 'there is no client on the page',
    });
  });
});

describe('k', () => {
  it('asks about the selected client', () => {
    for (const key of ['k', 'f9']) {
      const asked = type(clients, 'down', key);
      expect(asked.prompt).toEqual({ kind: 'kill', id: '10', connection: 1, who: 'batch on shop, 10.0.0.1:40010' });
    }
  });

  it('is for the page of clients', () => {
    const { prompt: none, message } = type(clients, '1', 'k');
    expect(none).toBeUndefined();
    expect(message).toBe('k disconnects a client: see the page of clients');
  });
});

it('delay', () => {
  expect(type(clients, 'd', '0', '.', '5', 'enter').delayMs).toBe(500);
  expect(type(clients, 'd', 'enter').delayMs).toBe(2_000);
  const refused = { delayMs: 2_000, message: '0: write seconds from 0.1 to 3600' };
  expect(type(clients, 's', '0', 'enter')).toMatchObject(refused);
});

it('what is typed has an end', () => {
  const long = type(clients, '/', ...Array.from({ length: 500 }, () => 'x'), 'enter');
  expect(long.filter).toHaveLength(200);
});
