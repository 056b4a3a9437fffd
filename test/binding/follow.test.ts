/** What functions do through what they call, by the words of their bodies. */
import { describe, expect, test } from 'vitest';
import type { Plan } from '../../src/binding/plan.ts';
import type { CatalogFunction } from '../../src/catalog/types.ts';
import { binderOf, factsOf, fn, PREFIX, exampleCatalog } from './example-catalog.ts';

function planWith(functions: readonly CatalogFunction[], sql: string): Plan {
  return binderOf().bind(factsOf(sql), exampleCatalog({ functions }), undefined, 'app');
}

const body = (oid: number, name: string, text: string, more: Partial<CatalogFunction> = {}): CatalogFunction =>
  fn(oid, name, 'stable', { body: text, ...more });
const setter = body(31001, 'setter', `BEGIN PERFORM set_config('a.b', x, false); END`, { leavesState: true });

describe('reads', () => {
  test('of a body count, also in a body called by it', () => {
    const inner = body(31000, 'inner', 'SELECT n FROM orders');
    const outer = body(31002, 'outer', 'BEGIN RETURN inner(); END');
    expect(planWith([inner, outer], 'SELECT outer() FROM users')).toMatchObject({
      isRead: true,
      isCacheable: false,
      reads: [`${PREFIX}all`, `${PREFIX}cat`, `${PREFIX}r20001`, `${PREFIX}r20002`],
    });
  });

  test('of an immutable one are tags of the kept answer', () => {
    const inner = body(31000, 'inner', 'SELECT n FROM v', { volatility: 'immutable' });
    const plan = planWith([inner], 'SELECT inner() FROM carts');
    expect(plan).toMatchObject({ isCacheable: true, reads: expect.arrayContaining([`${PREFIX}r20001`]) });
  });

  test.each([
    ['dynamic SQL', body(31000, 'f', "BEGIN EXECUTE 'x'; END"), /runs dynamic SQL/],
    ['another language', body(31000, 'f', '', { language: 'plpython3u', body: undefined }), /written in plpython3u/],
    ['too long a body', body(31000, 'f', '', { body: undefined }), /too long/],
    ['C', body(31000, 'f', '', { language: 'c', body: undefined }), /written in C/],
  ])('that cannot be seen: %s', (_what, found, why) => {
    const plan = planWith([found, body(31002, 'outer', 'SELECT f()')], 'SELECT outer() FROM users');
    expect(plan).toMatchObject({ isRead: false, isCacheable: false, effects: { isSuspect: true } });
    expect(plan.why).toMatch(why);
  });

  test('of one that the operator vouches for are taken at their word', () => {
    const found = body(31000, 'f', "BEGIN EXECUTE 'x'; END");
    const binder = binderOf({ readOnlyFunctions: ['f'] });
    const plan = binder.bind(
      factsOf('SELECT f() FROM users'),
      exampleCatalog({ functions: [found] }),
      undefined,
      'app',
    );
    expect(plan).toMatchObject({ isRead: true, isCacheable: false, hasEffects: false });
  });
});

describe('state', () => {
  const suspect = { isRead: false, effects: { isSuspect: true, pins: ['session state of a function'] } };

  test.each(['SELECT setter()', 'SELECT outer()', 'EXPLAIN SELECT outer()', "DO 'BEGIN PERFORM outer(); END'"])(
    'left by %s',
    (sql) => {
      expect(planWith([setter, body(31002, 'outer', 'SELECT setter()')], sql)).toMatchObject(suspect);
    },
  );

  test('not by what only asks', () => {
    const asking = body(31000, 'tenant', "SELECT current_setting('app.tenant', true)", {
      asksSettings: ['app.tenant'],
    });
    const plan = planWith([asking, body(31002, 'outer', 'SELECT tenant()')], 'SELECT outer() FROM users');
    expect(plan).toMatchObject({
      isRead: true,
      hasEffects: false,
      customSettings: { asks: ['app.tenant'], asksAny: false },
    });
  });

  test('any setting may be asked for while the catalog is not known', () => {
    const asksAny = (sql: string): boolean =>
      binderOf().bind(factsOf(sql), undefined, undefined, 'app').customSettings?.asksAny ?? false;
    for (const sql of ['SELECT f()', 'INSERT INTO t VALUES (1)', 'CALL p()', 'DO $$ BEGIN END $$', 'EXECUTE p'])
      expect([sql, asksAny(sql)]).toEqual([sql, true]);
    for (const sql of ['SELECT 1', 'BEGIN', 'SHOW work_mem']) expect([sql, asksAny(sql)]).toEqual([sql, false]);
  });

  test('unknown while the catalog is: also a view, an operator or a cast may leave some', () => {
    const isSuspect = (sql: string): boolean =>
      binderOf().bind(factsOf(sql), undefined, undefined, 'app').effects.isSuspect;
    for (const sql of ['SELECT * FROM v', 'SELECT $1 @?@ $2', 'SELECT $1::mood', 'EXPLAIN SELECT f()', 'VACUUM'])
      expect([sql, isSuspect(sql)]).toEqual([sql, true]);
    for (const sql of ['SELECT 1', 'BEGIN', 'SHOW work_mem']) expect([sql, isSuspect(sql)]).toEqual([sql, false]);
  });
});

test('ten thousand functions that call each other in a circle have an end', () => {
  const all = Array.from({ length: 10_000 }, (_, i) =>
    body(40_000 + i, `f${i}`, `BEGIN RETURN f${(i + 1) % 10_000}(); END`),
  );
  const plan = planWith([...all, setter], 'SELECT f5() FROM users');
  expect(plan).toMatchObject({ isRead: true, hasEffects: false });
});
