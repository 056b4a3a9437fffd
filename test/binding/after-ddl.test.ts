/** Plans after DDL, before the catalog has been read again: what may change the session pins it, and nothing else does. */
import { describe, expect, test } from 'vitest';
import type { Catalog } from '../../src/catalog/types.ts';
import { binderOf, exampleCatalog, factsOf, fn } from './example-catalog.ts';

const setter = fn(31001, 'setter', 'volatile', {
  body: `BEGIN PERFORM set_config('a.b', x, false); END`,
  leavesState: true,
});
const last = exampleCatalog({ functions: [setter] });
const pin = 'catalog not read yet';

function pinsOf(sql: string, before: Catalog | undefined): readonly string[] {
  const plan = binderOf().bindAfterDdl(factsOf(sql), before, undefined, 'app');
  expect(plan).toMatchObject({ isRead: false, isCacheable: false, catalog: undefined });
  expect(plan.hasEffects || plan.effects.pins.length === 0).toBe(true);
  return plan.effects.pins;
}

describe('after DDL of others', () => {
  test.each([
    'SELECT setter()',
    'SELECT made_since()',
    'SELECT * FROM made_since',
    'INSERT INTO made_since VALUES (1)',
    'CALL made_since()',
    'SELECT $1 <@@> $2',
    'EXPLAIN SELECT setter()',
    'SELECT setter(); SELECT 1',
  ])('%s pins', (sql) => {
    expect(pinsOf(sql, last)).toEqual([pin]);
  });

  test.each([
    'SELECT 1',
    'SELECT lower(email) FROM users',
    'UPDATE users SET id = 1',
    'BEGIN',
    'CREATE TABLE made_since ()',
    'VACUUM',
  ])('%s does not', (sql) => {
    expect(pinsOf(sql, last)).toEqual([]);
  });
});

describe('after DDL of its own', () => {
  test.each(['SELECT lower(email) FROM users', 'UPDATE users SET id = 1', 'CALL p()'])('%s pins', (sql) => {
    expect(pinsOf(sql, undefined)).toEqual([pin]);
  });

  test.each(['SELECT 1', 'COMMIT', 'CREATE TABLE made_since ()', 'VACUUM'])('%s does not', (sql) => {
    expect(pinsOf(sql, undefined)).toEqual([]);
  });
});

describe('while the catalog is known', () => {
  const bind = (sql: string) => binderOf().bind(factsOf(sql), last, undefined, 'app').effects.pins;

  test('a function that it does not have was made a moment ago', () => {
    expect(bind('SELECT made_since()')).toEqual([pin]);
    expect(bind('SELECT * FROM made_since')).toEqual([]);
  });

  test('DDL and what uses it may be one text', () => {
    expect(bind('CREATE TABLE t (); SELECT * FROM users')).toEqual([pin]);
    expect(bind('SELECT * FROM users; CREATE TABLE t ()')).toEqual([]);
  });

  test('what is still missing when it was read again pins no more', () => {
    const binder = binderOf();
    const facts = factsOf('SELECT name(users) FROM users');
    const pins = () => binder.bind(facts, last, undefined, 'app').effects.pins;
    expect(pins()).toEqual([pin]);
    binder.learnUnknown(facts);
    expect(pins()).toEqual([]);
  });
});

test('without any catalog nothing pins: there may never be one', () => {
  const plan = binderOf().bind(factsOf('SELECT setter()'), undefined, undefined, 'app');
  expect(plan.effects).toMatchObject({ pins: [], isSuspect: true });
});
