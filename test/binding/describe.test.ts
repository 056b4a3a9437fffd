/** What `weir explain` prints of a plan. Fails if a field of the plan is told wrongly or not at all. */
import { expect, test } from 'vitest';
import { describePlan } from '../../src/binding/describe.ts';
import { binderOf, factsOf, planOf } from './example-catalog.ts';

test('a cacheable read names the relations that it depends on', () => {
  expect(describePlan(planOf('SELECT * FROM vv'))).toEqual({
    route: 'any node that is fresh enough: read',
    cache: 'cacheable',
    reads: ['writes of unknown extent', 'the catalog', 'public.users', 'public.orders'],
    writes: [],
    effects: [],
  });
});

test('a write names what a commit invalidates', () => {
  expect(describePlan(planOf('DELETE FROM orders'))).toEqual({
    route: 'primary: writes orders',
    cache: 'not cached: writes orders',
    reads: [],
    writes: ['public.orders', 'public.lines'],
    effects: [],
  });
  expect(describePlan(planOf('DROP TABLE users')).writes).toEqual(['everything', 'the catalog']);
});

test('effects are told one by one', () => {
  expect(
    describePlan(planOf("SET LOCAL a.b = 'c'; RESET x.y; LISTEN z; DISCARD PLANS; DEALLOCATE q; BEGIN")).effects,
  ).toEqual([
    "SET LOCAL a.b = 'c'",
    'RESET x.y',
    'DISCARD PLANS',
    'DEALLOCATE q',
    'pins the server: LISTEN',
    'starts a transaction',
  ]);
  expect(describePlan(planOf('CALL p()')).effects).toEqual([
    'may change the session in ways that cannot be seen: the server is reset afterwards',
    'may commit a transaction',
  ]);
  expect(describePlan(planOf('RESET ALL; UNLISTEN *; DEALLOCATE ALL')).effects).toContain('DEALLOCATE ALL');
});

test('BEGIN READ ONLY goes anywhere, and without a catalog nothing does', () => {
  expect(describePlan(planOf('BEGIN READ ONLY')).route).toMatch(/^any node .* whole transaction/);
  expect(describePlan(binderOf().bind(factsOf('SELECT 1'), undefined, undefined, 'app')).route).toBe(
    'primary: the catalog of the database is not known yet',
  );
});
