/** Keys of `weir top`: what the bytes of terminals mean, and what each key changes. */
import { describe, expect, it } from 'vitest';
import { keysOf, press, type Action } from '../../../src/cli/top/keys.ts';
import { initialState, visibleRows, type TopState } from '../../../src/cli/top/state.ts';
import { frame } from './fixtures.ts';

const shown = frame();
const clients = initialState('clients', 2_000);

function type(state: TopState, ...keys: string[]): TopState {
  return keys.reduce((now, key) => press(now, key, shown, 10).state, state);
}
const actionOf = (state: TopState, key: string): Action | undefined => press(state, key, shown, 10).action;
const ids = (state: TopState): unknown[] => visibleRows(state, shown).rows.map((row) => row['id']);

it.each([
  ['\u001b[A\u001bOB', ['up', 'down']],
  ['\u001b[5~\u001b[6~\u001b[H\u001bOF', ['pageup', 'pagedown', 'home', 'end']],
  ['\u001bOP\u001b[12~\u001b[[C\u001b[15~', ['f1', 'f2', 'f3', 'f5']],
  ['q\r\t\u007f\u0003', ['q', 'enter', 'tab', 'backspace', 'interrupt']],
  ['\u001b', ['escape']],
  ['é😀', ['é', '😀']],
  ['\u0001\u001b[200~\u001b[99;1Z', []],
])('%j', (input, keys) => {
  expect(keysOf(input)).toEqual(keys);
});

describe('pages', () => {
  it('by number, F-key and Tab', () => {
    expect(type(clients, '1').page).toBe('pools');
    expect(type(clients, 'f2').page).toBe('nodes');
    expect(type(clients, 'tab').page).toBe('servers');
    expect(type(clients, '4', 'tab', 'tab').page).toBe('pools');
    expect(actionOf(clients, '1')).toEqual({ kind: 'refresh' });
  });

  it('no page of workers where there is one', () => {
    expect(type(clients, '6').page).toBe('clients');
  });
});

describe('rows', () => {
  it('sort, reverse', () => {
    expect(ids(clients)).toEqual([2, 10, 1]);
    expect(ids(type(clients, '>'))).toEqual([10, 2, 1]);
    expect(ids(type(clients, '>', 'r'))).toEqual([1, 2, 10]);
    expect(ids(type(clients, '<'))).toEqual([2, 10, 1]);
    expect(type(clients, '<').message).toBe('sorted by prepared_statements');
    expect(ids(type(clients, 'r'))).toEqual([1, 10, 2]);
  });

  it('the selection stays on its row when rows move', () => {
    const onTen = type(clients, 'down');
    expect(visibleRows(onTen, shown).selectedIndex).toBe(1);
    expect(visibleRows(type(onTen, '>'), shown).selectedIndex).toBe(0);
    expect(visibleRows(type(clients, 'end', 'down', 'pagedown'), shown).selectedIndex).toBe(2);
    expect(visibleRows(type(clients, 'pageup', 'up'), shown).selectedIndex).toBe(0);
  });

  it('filter and user; Escape shows all again', () => {
    const jobs = type(clients, '/', 'J', 'O', 'x', 'backspace', 'B', '1', 'enter');
    expect(ids(jobs)).toEqual([10, 1]);
    expect(ids(type(jobs, 'u', 'a', 'p', 'p', 'enter'))).toEqual([1]);
    expect(ids(type(jobs, 'escape'))).toHaveLength(3);
    expect(type(clients, '/', 'q', 'escape')).toMatchObject({ filter: '', prompt: undefined });
  });
});

describe('k', () => {
  it('asks, and only y disconnects', () => {
    const asked = type(clients, 'down', 'k');
    expect(asked.prompt).toEqual({ kind: 'kill', id: '10', who: 'batch on shop, 10.0.0.1:40010' });
    expect(actionOf(asked, 'y')).toEqual({ kind: 'kill', id: '10' });
    for (const key of ['n', 'enter', 'escape', ' ', 'q']) expect(actionOf(asked, key)).toBeUndefined();
    expect(type(asked, 'n').message).toBe('nobody was disconnected');
  });

  it('is for the page of clients', () => {
    expect(type(clients, '1', 'k')).toMatchObject({ prompt: undefined, message: 'k disconnects a client: see page 3' });
  });
});

it('delay, pause, help, quit', () => {
  expect(type(clients, 'd', '0', '.', '5', 'enter').delayMs).toBe(500);
  expect(type(clients, 's', '0', 'enter')).toMatchObject({
    delayMs: 2_000,
    message: '0: write seconds from 0.1 to 3600',
  });
  expect(type(clients, ' ').isPaused).toBe(true);
  expect(type(clients, 'h').isHelpShown).toBe(true);
  expect(type(clients, '?', 'q').isHelpShown).toBe(false);
  expect(actionOf(clients, 'q')).toEqual({ kind: 'quit' });
  expect(actionOf(type(clients, '/'), 'q')).toBeUndefined();
  expect(actionOf(type(clients, '/'), 'interrupt')).toEqual({ kind: 'quit' });
});
