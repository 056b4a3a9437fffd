/** The lines of `weir top` in terminals of every size: never longer than the terminal, never more of them than it has. */
import { describe, expect, it } from 'vitest';
import { helpLines } from '../../../src/cli/top/help-text.ts';
import { layout, wholeTable, type Line } from '../../../src/cli/top/layout.ts';
import { pageNames } from '../../../src/cli/top/pages.ts';
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
    '1 [pools]  2 nodes  3 statements  4 clients  5 servers  6 databases',
    'database user node cl_waiting cl_active sv_active limit maxwait_ms sv_idle max',
    'shop     app  db1           0         3         2    20          0       1 100',
    'shop     app  db2           4         3         2    20       1250       1 100',
    '',
    'q quit  h help  row 1 of 2',
  ]);
});

it('40 columns', () => {
  expect(texts(pools, 40, 7)).toEqual([
    'weir top - db:6432 - 12:00:00 UTC',
    '7 queries/s, 4 waiting, 7 clients',
    '1[pools] 2 3 4 5 6',
    'database user node cl_waiting cl_active',
    'shop     app  db1           0         3',
    'shop     app  db2           4         3',
    'q quit  h help  row 1 of 2',
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
      for (const state of [
        initialState(page, 2_000),
        { ...initialState(page, 2_000), view: 'help' as const },
        { ...initialState(page, 2_000), view: 'details' as const },
      ]) {
        const all = lines(state, columns, rows);
        expect(all).toHaveLength(rows);
        for (const { text } of all) expect(text.length).toBeLessThanOrEqual(columns);
      }
    }
  });

  it('the help fits the smallest terminal in use', () => {
    expect(helpLines.length).toBeLessThanOrEqual(20);
    for (const text of helpLines) expect(text.length).toBeLessThanOrEqual(40);
    expect(texts({ ...pools, view: 'help' }, 40, 24)).toEqual(expect.arrayContaining([...helpLines]));
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
  expect(lost[0]).toEqual({ text: 'NO ANSWER since 12:00:00 UTC - weir top - x', style: 'warning' });
  expect(lost.at(-1)).toEqual({ text: 'trying again: ECONNREFUSED', style: 'warning' });
  const asked = { ...pools, prompt: { kind: 'kill', id: '7', connection: 1, who: 'app on shop' } } as const;
  expect(texts(asked).at(-1)).toBe('disconnect client 7 (app on shop)? y/n');
  expect(texts({ ...pools, filter: 'db2' }).at(-1)).toBe('q quit  h help  row 1 of 1  1 more without /db2 (Esc)');
  expect(texts({ ...pools, isPaused: true })[0]).toContain('PAUSED');
  expect(texts({ ...pools, isPaused: true }, 20, 12)[0]).toBe('PAUSED');
});

it('a client cannot control the terminal', () => {
  const evil = frame({ 'SHOW CLIENTS': [client(1, 'app\u001b[2J\u202e', { application_name: '\u009bx\n' })] });
  const bytes = texts(initialState('clients', 2_000), 200, 24, evil).join('');
  expect(bytes).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202e]/);
});

it('for a pipe: every row and column; with a width, what fits', () => {
  const many = frame({ 'SHOW POOLS': Array.from({ length: 50 }, (_, index) => pool(`db${index}`)) });
  const whole = wholeTable(pools, many, connection, undefined).split('\n');
  expect(whole).toHaveLength(55);
  expect(whole[3]).toMatch(/^database user node .* last_resize$/);
  expect(wholeTable(pools, many, connection, 40)).toContain('\ndatabase user node cl_waiting cl_active\n');
});

it('a question keeps its end, and what is being typed, in the narrowest terminal', () => {
  const prompt = { kind: 'kill', id: '123456', connection: 1, who: 'a-long-name on a-long-database' } as const;
  expect(texts({ ...pools, prompt }, 40, 12).at(-1)).toBe('disconnect client 123456 (a-long-n? y/n');
  const filter = { kind: 'filter', text: `${'x'.repeat(50)}end` } as const;
  expect(texts({ ...pools, prompt: filter }, 20, 12).at(-1)).toMatch(/^rows with: x+end_$/);
});

it('wide characters take two columns', () => {
  const wide = frame({ 'SHOW POOLS': [pool('db1', { database: '日本語' }), pool('db2', { database: 'shop' })] });
  const [head, first, second] = texts(pools, 80, 8, wide).slice(3);
  expect(head).toMatch(/^database user node/);
  expect(first).toMatch(/^日本語 {3}app {2}db1/);
  expect(second).toMatch(/^shop {5}app {2}db2/);
});

it('Enter: all of the row, wrapped', () => {
  const why = '20 -> 28 (pressure): clients waited 38 ms';
  const one = frame({ 'SHOW POOLS': [pool('db1', { last_resize: why, avg_recv: 5 })] });
  const lines = texts({ ...pools, view: 'details' }, 40, 40, one);
  expect(lines).toContain('database    shop');
  const at = lines.indexOf('last_resize 20 -> 28 (pressure): clients');
  expect(lines[at + 1]).toBe('            waited 38 ms');
  // Also what is no column of the page.
  expect(lines).toContain('avg_recv    5');
  const scrolled = texts({ ...pools, view: 'details', scrolled: 1 }, 40, 40, one);
  expect(scrolled[3]).toBe(lines[4]);
});

describe('statements', () => {
  const statements = { ...pools, page: 'statements' as const };

  it('numbers first, the text last', () => {
    const rows = [{ database: 'shop', user: 'app', query_id: 'ab', query: 'SELECT $1', calls: 7, total_ms: 2.5 }];
    const [head, row] = texts(statements, 80, 8, frame({ 'SHOW STATEMENTS': rows })).slice(3);
    expect(head).toBe('calls total_ms database user query_id query');
    expect(row).toBe('    7      2.5 shop     app  ab       SELECT $1');
  });

  it('a Weir that does not know them', () => {
    const old = frame({}, undefined, { refusals: { 'SHOW STATEMENTS': 'ERROR: unknown command' } });
    const words = texts(statements, 40, 12, old).join(' ');
    expect(words).toContain('This Weir does not answer SHOW STATEMENTS. It says: ERROR: unknown command');
    expect(wholeTable(statements, old, connection, undefined)).toContain('ERROR: unknown command');
  });
});
