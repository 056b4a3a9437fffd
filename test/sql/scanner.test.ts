/** The scanner against PostgreSQL's own lexer: the text made from a key has the same tokens as the text it came from. */
import fc from 'fast-check';
import { scanSync, loadModule } from 'libpg-query';
import { beforeAll, describe, expect, test } from 'vitest';
import { MALFORMED, NOT_TEMPLATED, Scanner } from '../../src/sql/scanner.ts';
import { toParsable, toTemplate } from '../../src/sql/template.ts';

const scanner = new Scanner(1024);

function keyOf(text: string): string | undefined {
  const sql = Buffer.from(text);
  const length = scanner.scan(sql);
  return length < 0 ? undefined : scanner.key.toString('utf8', 0, length);
}

function templateOf(text: string): string | undefined {
  const key = keyOf(text);
  return key === undefined ? undefined : toTemplate(key);
}

function parsableOf(text: string): string | undefined {
  const key = keyOf(text);
  return key === undefined ? undefined : toParsable(key);
}

const CONSTANTS = /^(?:ICONST|FCONST)$/;

/** Names of the tokens; values of constants do not count. undefined: PostgreSQL refuses the text. */
function tokensOf(text: string): string[] | undefined {
  try {
    return scanSync(text)
      .tokens.filter(({ tokenName }) => !tokenName.endsWith('COMMENT'))
      .map((token) => (CONSTANTS.test(token.tokenName) ? 'number' : shapeOf(token)));
  } catch {
    return undefined;
  }
}

function shapeOf({ tokenName, tokenType, text }: { tokenName: string; tokenType: number; text: string }): string {
  const bytes = Buffer.from(text).toString();
  if (/^(?:SCONST|USCONST)$/.test(tokenName) || /^(?:[eE]?'|\$[^0-9])/.test(bytes)) return 'string';
  if (/^[xXbB]'/.test(bytes)) return 'bits';
  if (/^[nN]'/.test(bytes)) return 'nstring';
  return `${tokenType}:${bytes}`;
}

beforeAll(() => loadModule());

describe('templates', () => {
  test.each([
    ['SELECT 1', 'SELECT ?'],
    ["SELECT 'a''b', E'c\\'d', N'e', $$f$$, $x$g $$ $x$ , b'1', X'1f'", 'SELECT ?, ?, N?, ?, ? , ?, ?'],
    ['  select\n\t 1.5e-3 ,.5,1. ;', 'select ? ,?,? ;'],
    ['SELECT a-1,a - -1, a--1\n,-1', 'SELECT a-?,a - -?, a ,-?'],
    ['SELECT $1, $22::int', 'SELECT $1, $22::int'],
    ['SELECT "A ""1""", a1, $1', 'SELECT "A ""1""", a1, $1'],
    ['SELECT /* a /* b */ c */ 1 -- d', 'SELECT ?'],
    ["SELECT 'a' -- x\n 'b'", 'SELECT ?'],
    ["SELECT 'a' 'b'", 'SELECT ? ?'],
    ["SELECT E'a'\n'\\'b'", 'SELECT ?'],
    ['SELECT a WHERE b IN (1, -2,3 , $4)', 'SELECT a WHERE b IN (...)'],
    ['SELECT a WHERE b in(1)', 'SELECT a WHERE b in(...)'],
    ['SELECT a WHERE b IN (1, c)', 'SELECT a WHERE b IN (?, c)'],
    ['SELECT x.in(1, 2), "in"(1,2)', 'SELECT x.in(?, ?), "in"(?,?)'],
    ['SELECT pg_catalog . in (1, 2)', 'SELECT pg_catalog . in (?, ?)'],
    ["INSERT INTO t VALUES (1, 'a', NULL), (2,'b',true),(3,'c',DEFAULT)", 'INSERT INTO t VALUES (...)'],
    ['INSERT INTO t VALUES (1), (f(2)), (3)', 'INSERT INTO t VALUES (...), (f(?)), (?)'],
    ['SELECT ARRAY[1,2,3], array [$1], x.array[1]', 'SELECT ARRAY[...], array [...], x.array[?]'],
    ["SELECT nextval('a.b'), nextval('a b'), f('c')", "SELECT nextval('a.b'), nextval(?), f(?)"],
    ["SELECT NEXTVAL( 'A')", "SELECT NEXTVAL( 'A')"],
    ['SELECT été, "é" FROM ñ', 'SELECT été, "é" FROM ñ'],
    ['a$b$c', 'a$b$c'],
    ['', ''],
    [' -- nothing', ''],
    [';;', ';;'],
  ])('%s', (text, template) => expect(templateOf(text)).toBe(template));

  test.each([
    "SELECT 'a",
    "SELECT E'a\\'",
    'SELECT "a',
    'SELECT $$a',
    'SELECT $a$ $b$',
    'SELECT /* a',
    'SELECT /* /* */',
    'SELECT $',
    'SELECT \x01',
    'SELECT \x7f',
    `SELECT ${'('.repeat(1500)}`,
  ])('refuses %j', (text) => {
    expect(scanner.scan(Buffer.from(text))).toBe(MALFORMED);
    expect(scanner.problem).not.toBe('');
  });

  test.each([
    'SELECT 0x1f',
    'SELECT 1_000',
    'SELECT 12abc',
    'SELECT $1a',
    "SELECT U&'a'",
    'SELECT U&"a"',
    'SELECT 1e',
    '1..2',
    '$1.5',
    '1.5.5',
  ])('leaves %s to the parser', (text) => expect(scanner.scan(Buffer.from(text))).toBe(NOT_TEMPLATED));

  test('constants that mean now are told from others, also in lists', () => {
    expect(keyOf("SELECT 'now'")).not.toBe(keyOf("SELECT 'then'"));
    expect(keyOf("SELECT ' Today 12:00'")).toBe(keyOf("SELECT '[now,)'"));
    expect(keyOf("SELECT 'nowhere', 'snow'")).toBe(keyOf("SELECT 'a', 'b'"));
    expect(keyOf("SELECT a IN ('x', 'tomorrow')")).not.toBe(keyOf("SELECT a IN ('x', 'y')"));
    expect(keyOf("SELECT ARRAY['YESTERDAY']")).not.toBe(keyOf("SELECT ARRAY['x']"));
    expect(keyOf("SELECT E'n\\x6fw'")).toBe(keyOf("SELECT 'now'"));
    expect(keyOf("SELECT 'no'\n'w'")).toBe(keyOf("SELECT 'now'"));
    expect(keyOf('SELECT $$now$$')).toBe(keyOf("SELECT 'now'"));
  });

  test('names keep their case and their quotes', () => {
    expect(keyOf('SELECT "A"')).not.toBe(keyOf('SELECT "a"'));
    expect(keyOf('SELECT "a"')).not.toBe(keyOf('SELECT a'));
  });

  test('the edges where hints may stand', () => {
    const edges = (text: string): [string, string] => {
      const sql = Buffer.from(text);
      scanner.scan(sql);
      return [sql.toString('utf8', 0, scanner.comments.leadEnd), sql.toString('utf8', scanner.comments.tailStart)];
    };
    expect(edges('/* a */ -- b\n SELECT /* c */ 1')).toEqual(['/* a */ -- b', '']);
    expect(edges('SELECT 1 /* a */; -- b')).toEqual(['', '/* a */; -- b']);
    expect(edges('SELECT 1; /* a */ ; /* b */ ;')).toEqual(['', '/* a */ ; /* b */ ;']);
    expect(edges('SELECT /* a */ 1 /* b */')).toEqual(['', '/* b */']);
    expect(edges('SELECT 1')).toEqual(['', '']);
  });
});

const piece = fc.constantFrom(
  ...[
    'select',
    'a',
    'e',
    'E',
    'n',
    'x',
    'b',
    'u',
    'U&',
    'in',
    'values',
    'nextval',
    'é',
    '_',
    'a$b',
    '"',
    '""',
    '"A b"',
  ],
  ...["'", "''", "'a'", "E'", "b'", "x'1'", "n'", '\\', "\\'", '$$', '$a$', '$b$', '$', '$1', '$2'],
  ...[
    '--',
    '-',
    '/*',
    '*/',
    '/',
    '*',
    '+',
    '@',
    '<',
    '>=',
    '=',
    '?',
    '!',
    '~',
    '::',
    ':',
    '|',
    '#',
    '%',
    '^',
    '&',
    '`',
  ],
  ...[
    '1',
    '2.5',
    '.5',
    '1.',
    '1e5',
    '1e',
    '0x1',
    '1_0',
    '..',
    '.',
    ',',
    ';',
    '(',
    ')',
    '[',
    ']',
    ' ',
    '\n',
    '\t',
    '\r\n',
    '\f',
  ],
  ...['now', "'today'", '\x01', '\u00a0'],
);

describe('against the lexer of PostgreSQL', () => {
  const words = /in|values|array/i;
  /** libpg-query's scan(), unlike PostgreSQL, ends a constant at a line comment. */
  const continuedPastComment = /'\s*--[^\n\r]*[\n\r][^]*'/;

  test('random pieces: same tokens before and after, or no template', () => {
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 14 }), (pieces) => {
        const text = pieces.join('');
        const parsable = parsableOf(text);
        if (parsable === undefined || words.test(text) || continuedPastComment.test(text)) return;
        const tokens = tokensOf(text);
        if (tokens === undefined) return;
        expect(tokensOf(parsable === '' ? ' ' : parsable)).toEqual(tokens);
      }),
      { numRuns: 20_000 },
    );
  });

  test('random bytes never throw, and a key is never longer than its text', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        expect(scanner.scan(Buffer.from(bytes))).toBeLessThanOrEqual(bytes.length);
      }),
      { numRuns: 5_000 },
    );
  });
});
