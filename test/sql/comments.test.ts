/** Texts without their comments mean what they meant; the first keyword is found behind whatever stands before it. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { firstKeyword, stripComments } from '../../src/sql/comments.ts';
import { loadParser } from '../../src/sql/parser.ts';

function strip(text: string): string {
  return stripComments(Buffer.from(text)).toString();
}

describe('stripComments', () => {
  test.each([
    ['SELECT 1', 'SELECT 1'],
    ['SELECT/* a */1', 'SELECT 1'],
    ['SELECT /* a /* b */ c */ 1 -- d', 'SELECT   1'],
    ['/* a */ -- b\nSELECT 1 -- c\n , 2', 'SELECT 1  \n , 2'],
    [
      "SELECT '/* a */', \"-- b\", $$ -- c $$, $x$ /* $x$, E'\\' -- d' -- e",
      "SELECT '/* a */', \"-- b\", $$ -- c $$, $x$ /* $x$, E'\\' -- d'",
    ],
    ["SELECT 'it''s -- one' /* x */", "SELECT 'it''s -- one'"],
    ["SELECT 'a\\' -- b", "SELECT 'a\\'"],
    ["SELECT E'a'\n'\\' -- b'", "SELECT E'a'\n'\\' -- b'"],
    ["SELECT 'a' -- inside of one constant\n'c' -- d", "SELECT 'a' -- inside of one constant\n'c'"],
    ['SELECT a+--b\n1, a/*c*/*d', 'SELECT a+ \n1, a *d'],
    ['SELECT a$b$ /* c */ , d$b$', 'SELECT a$b$   , d$b$'],
    ['SELECT $1/* a */$2', 'SELECT $1 $2'],
    ['-- only', ''],
    ['SELECT é /* ü */ ñ', 'SELECT é   ñ'],
  ])('%j', (text, expected) => expect(strip(text)).toBe(expected));

  test.each([
    ['SELECT /* a', 'a comment that does not end'],
    ["SELECT 'a /* b */ -- c", 'a string that does not end'],
    ['SELECT "a /* b */', 'a name that does not end'],
    ['SELECT $a$ -- b', 'a dollar quote that does not end'],
    ["SELECT 'a' /* b */\n'c'", 'a comment that keeps two constants apart'],
    ["SELECT 1E'a\\' -- b'", 'a number and an escape string, to some servers'],
  ])('%j stays as it is: %s', (text) => {
    const sql = Buffer.from(text);
    expect(stripComments(sql)).toBe(sql);
  });

  test('the same bytes come back when there is nothing to take out', () => {
    const sql = Buffer.from('SELECT 1 - 2 / 3 * 4');
    expect(stripComments(sql)).toBe(sql);
  });

  test('what is left parses to the same tree', async () => {
    const parser = await loadParser();
    const token = fc.constantFrom(
      ...['1', "'a'", "'it''s'", "E'\\''", '$$ -- $$', '"q--"', 'a', '+', '-', '*', '/', ',', '(', ')', '$1', '::int'],
      ...['/* x */', '/* /* y */ */', '-- z\n', '--\n', '\n', ' ', "'-- b'", '/**/'],
    );
    // Without where things stand. libpg-query, unlike PostgreSQL, has no comments between the parts of a constant.
    const treeOf = (text: string): string | undefined => {
      const { tree } = parser.parse(text);
      return tree === undefined
        ? undefined
        : JSON.stringify(tree).replace(/"(?:location|stmt_len|\w+_(?:start|end))":\d+,?/g, '');
    };
    fc.assert(
      fc.property(fc.array(token, { maxLength: 10 }), (tokens) => {
        const text = `SELECT ${tokens.join('')}`;
        const tree = treeOf(text);
        if (tree !== undefined) expect(treeOf(strip(text)), text).toBe(tree);
      }),
      { numRuns: 5_000 },
    );
  });

  test('random bytes never throw and never grow', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
        expect(stripComments(Buffer.from(bytes)).length).toBeLessThanOrEqual(bytes.length);
      }),
    );
  });
});

describe('firstKeyword', () => {
  test.each([
    ['select 1', 'SELECT'],
    ['  \n/* a */ -- b\n Insert into t', 'INSERT'],
    ['((SELECT 1))', 'SELECT'],
    [';;begin', 'BEGIN'],
    ['', ''],
    ['-- a', ''],
    ['/* a', ''],
    ['1', ''],
    ["'a'", ''],
    ['"select"', ''],
    ['été', ''],
    ['a'.repeat(100), ''],
    [`${' '.repeat(100_000)}SELECT`, ''],
  ])('%j', (text, expected) => expect(firstKeyword(Buffer.from(text))).toBe(expected));
});
