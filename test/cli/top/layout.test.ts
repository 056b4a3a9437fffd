/** The lines of `weir top` in terminals of every size: never longer than the terminal, never more of them than it has. */
import { describe, expect, it } from 'vitest';
import { helpLines } from '../../../src/cli/top/help-text.ts';
import { layout, wholeTable, type Line } from '../../../src/cli/top/layout.ts';
import { pageNames } from '../../../src/cli/top/pages.ts';
import { drawing } from '../../../src/cli/top/screen.ts';
import { initialState, type TopState } from '../../../src/cli/top/state.ts';
import { client, frame, pool } from './fixtures.ts';

const connection = { where: 'db:6432', problem: undefined };
const pools = initialState('pools', 2_000);
const lines = (state: TopState, columns = 80, rows = 24, shown = frame()): Line[] =>
  layout(state, shown, connection, { columns, rows });
const texts = (...args: Parameters<typeof lines>): string[] => lines(...args).map(({ text }) => text.trimEnd());

it('80 columns', () => {
  expect(texts(pools, 80, 8)).toEqual([
    'weir top - db:6432 - 12:00:00 UTC - every 2 s',
    '7 queries/s, 4 waiting, 7 clients, 4/6 servers busy, 3 xacts/s, maxwait 1250 ms',
    '1 [pools]  2 nodes  3 clients  4 servers  5 databases',
    'database user node cl_waiting cl_active sv_active limit maxwait_ms sv_idle max',
    'shop     app  db1           0         3         2    20          0       1 100',
    'shop     app  db2           4         3         2    20       1250       1 100',
    '',
    'q quit  h help',
  ]);
});

it('40 columns', () => {
  expect(texts(pools, 40, 7)).toEqual([
    'weir top - db:6432 - 12:00:00 UTC - ever',
    '7 queries/s, 4 waiting, 7 clients',
    '1[pools] 2 3 4 5',
    'database user node cl_waiting cl_active',
    'shop     app  db1           0         3',
    'shop     app  db2           4         3',
    'q quit  h help',
  ]);
});

describe('every size', () => {
  it.each([
    [1, 1],
    [5, 3],
    [40, 10],
    [80, 24],
    [300, 100],
  ])('%i columns, %i rows', (columns, rows) => {
    for (const page of pageNames) {
      for (const state of [initialState(page, 2_000), { ...initialState(page, 2_000), isHelpShown: true }]) {
        const all = lines(state, columns, rows);
        expect(all).toHaveLength(rows);
        for (const { text } of all) expect(text.length).toBeLessThanOrEqual(columns);
      }
    }
  });

  it('the help fits the smallest terminal in use', () => {
    expect(helpLines.length).toBeLessThanOrEqual(20);
    for (const text of helpLines) expect(text.length).toBeLessThanOrEqual(40);
    expect(texts({ ...pools, isHelpShown: true }, 40, 24)).toEqual(expect.arrayContaining([...helpLines]));
  });
});

it('rows scroll by whole screens to the selected one', () => {
  const many = frame({ 'SHOW CLIENTS': Array.from({ length: 10 }, (_, index) => client(index + 1)) });
  const state = { ...initialState('clients', 2_000), selected: '6' };
  const shown = layout(state, many, connection, { columns: 40, rows: 9 });
  expect(shown.slice(4, 8).map(({ text, style }) => [Number(/\d+/.exec(text)?.[0]), style])).toEqual([
    [5, 'plain'],
    [6, 'selected'],
    [7, 'plain'],
    [8, 'plain'],
  ]);
});

it('the arrow to the right brings other columns', () => {
  const moved = texts({ ...pools, shift: 5 }, 40, 7)[3];
  expect(moved).toBe('database user node sv_idle max min');
});

it('marks the sort column, and rows that need attention', () => {
  const sorted = lines({ ...pools, sorts: { pools: { title: 'limit', isReversed: true } } }, 80, 7);
  expect(sorted[3]?.text).toContain('limit^');
  expect(lines(pools)[5]?.style).toBe('warning');
});

it('says what is wrong, what is asked, and what is left out', () => {
  const lost = layout(pools, frame(), { where: 'x', problem: 'ECONNREFUSED' }, { columns: 80, rows: 24 });
  expect(lost.at(-1)).toEqual({ text: 'no answer, trying again: ECONNREFUSED', style: 'warning' });
  const asked = { ...pools, prompt: { kind: 'kill', id: '7', who: 'app on shop' } } as const;
  expect(texts(asked).at(-1)).toBe('disconnect client 7 (app on shop)? y/n');
  expect(texts({ ...pools, filter: 'db2' }).at(-1)).toBe('q quit  h help  1 of 2 /db2 (Esc: all)');
  expect(texts({ ...pools, isPaused: true })[0]).toContain('PAUSED');
});

it('a client cannot control the terminal', () => {
  const evil = frame({ 'SHOW CLIENTS': [client(1, 'app\u001b[2J\u202e', { application_name: '\u009bx\n' })] });
  const bytes = texts(initialState('clients', 2_000), 200, 24, evil).join('');
  // eslint-disable-next-line no-control-regex
  expect(bytes).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202e]/);
});

it('for a pipe: every row and column; with a width, what fits', () => {
  const many = frame({ 'SHOW POOLS': Array.from({ length: 50 }, (_, index) => pool(`db${index}`)) });
  const whole = wholeTable(pools, many, connection, undefined).split('\n');
  expect(whole).toHaveLength(55);
  expect(whole[3]).toMatch(/^database user node .* last_resize$/);
  expect(wholeTable(pools, many, connection, 40)).toContain('\ndatabase user node cl_waiting cl_active\n');
});

it('no colour where NO_COLOR is set', () => {
  const all = (['bold', 'header', 'selected', 'warning', 'plain'] as const).map((style) => ({ text: 'x', style }));
  expect(drawing(all, true)).toContain('\u001b[33mx');
  expect(drawing(all, false)).not.toMatch(/\[(?:\d+;)*[34]\d[;m]/);
});
