/**
 * The names, calls and operators in the body of a function. Fails if a word of a comment counts, or one of the code does
 * not.
 */
import { expect, test } from 'vitest';
import { readBody } from '../../src/sql/body-words.ts';

test('names, calls and operators of a body, without what comments and strings say', () => {
  const words = readBody(`begin /* a /* execute */ nothing */ -- execute, do
    PERFORM s.F ('x''y', e'a\\'b', $q$ execute ' $q$, $1) from "My T" where a <@b and c=-1;
    insert into t values (1) on conflict do nothing; x := 'now';
    return current_setting('app.x', true);
  end`);
  expect([...words.names]).toEqual(expect.arrayContaining(['s', 'f', 'My T', 't', 'a', 'current_setting']));
  for (const name of ['execute', 'y']) expect([name, words.names.has(name)]).toEqual([name, false]);
  expect(words.calls.get('f')).toEqual(["x'y"]);
  expect(words.calls.get('current_setting')).toEqual(['app.x']);
  expect([...words.operators]).toEqual(expect.arrayContaining(['<@', '=-']));
  expect(words.problem).toBeUndefined();
});

test.each([
  ["EXECUTE 'SELECT 1'", 'runs dynamic SQL'],
  ["DO 'BEGIN END'", 'runs a DO block'],
  ['SELECT U&"d\\0061t"', 'has Unicode escapes'],
  ["SELECT 'abc", 'has a body that cannot be read'],
  ['SELECT 1 /* abc', 'has a body that cannot be read'],
])('what the words do not show: %s', (body, problem) => {
  expect(readBody(body).problem).toBe(problem);
});

test('time grows with the length', () => {
  expect(readBody('/*'.repeat(50_000)).problem).toBe('has a body that cannot be read');
  const tags = Array.from({ length: 10_000 }, (_, i) => `$a${i}$`).join(' ');
  expect(readBody(tags).problem).toBe('has a body that cannot be read');
  expect(readBody('$'.repeat(100_000)).problem).toBeUndefined();
  expect(readBody(`select ${'"a" -'.repeat(20_000)}`).names.has('a')).toBe(true);
});
