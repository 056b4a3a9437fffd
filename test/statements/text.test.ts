/** The text of a statement that is shown has no value of a constant in it, whatever the statement is. */
import { beforeAll, describe, expect, it } from 'vitest';
import { createClassifier } from '../../src/sql/classifier.ts';
import type { Classifier } from '../../src/sql/facts.ts';
import { statementTexts } from '../../src/statements/text.ts';

let classifier: Classifier;
beforeAll(async () => {
  classifier = await createClassifier();
});

const textsOf = (sql: string): string[] =>
  statementTexts(classifier.classify(Buffer.from(sql)).facts).map(({ text }) => text);

describe('a value', () => {
  it.each([
    ["SELECT * FROM a WHERE name = 'S3cret' AND n = 4711", 'SELECT * FROM a WHERE name = ? AND n = ?'],
    ["SELECT set_config('app.S3cret', 'S3cret', true)", 'SELECT set_config(?, ?, true)'],
    ["SELECT nextval('S3cret'), pg_notify('S3cret', 'x')", 'SELECT nextval(?), pg_notify(?, ?)'],
    ["SET app.token = 'S3cret'", 'SET app.token = ?'],
    ['SET app.token TO S3cret', 'SET app.token TO ?'],
    ['SET LOCAL app.token = S3cret, 4711', 'SET LOCAL app.token = ?'],
    ['SET TIME ZONE S3cret', 'SET TIME ZONE ?'],
    ['set local time zone "S3cret"', 'set local time zone ?'],
    ['ALTER ROLE a IN DATABASE b SET app.token = S3cret', 'ALTER ROLE a IN DATABASE b SET app.token = ?'],
    ['ALTER USER a SET "app"."to ken" TO "S3cret", S3cret', 'ALTER USER a SET "app"."to ken" TO ?'],
    ['ALTER USER a SET TIME ZONE S3cret', 'ALTER USER a SET TIME ZONE ?'],
    ['ALTER DATABASE a SET app.token TO S3cret', 'ALTER DATABASE a SET app.token TO ?'],
    ['ALTER SYSTEM SET app.token = S3cret', 'ALTER SYSTEM SET app.token = ?'],
    [
      "CREATE FUNCTION f() RETURNS int LANGUAGE sql SET app.a TO S3cret, b SET app.c = S3cret AS 'S3cret'",
      'CREATE FUNCTION f() RETURNS int LANGUAGE sql SET app.a TO ? SET app.c = ? AS ?',
    ],
    ['ALTER FUNCTION f() SET app.token TO S3cret STABLE', 'ALTER FUNCTION f() SET app.token TO ? STABLE'],
    ["CREATE ROLE a PASSWORD 'S3cret'", 'CREATE ROLE a PASSWORD ?'],
    ['SELECT $$S3cret$$, $a$S3cret$a$', 'SELECT ?, ?'],
    ["SELECT E'S3cret\\'' , B'1', U&'S3cret'", 'SELECT'],
    ["INSERT INTO a VALUES (1, 'S3cret'), (2, 'S3cret')", 'INSERT INTO a VALUES (...)'],
    ['SELECT 1 /* S3cret */ -- S3cret\n', 'SELECT ?'],
    ["SELECT ARRAY['S3cret']", 'SELECT ARRAY[...]'],
  ])('of %s', (sql, expected) => {
    const [text = ''] = textsOf(sql);
    expect(text).not.toMatch(/S3cret|4711/);
    expect(text.startsWith(expected)).toBe(true);
  });

  it('of a text that is not SQL is not shown, for quotes may be the wrong way round', () => {
    expect(textsOf("SELECT 'it's S3cret', 'x'")).toEqual(['SELECT (not parsed)']);
    expect(textsOf("SELEC 'a' S3cret")).toEqual(['SELEC (not parsed)']);
    expect(textsOf("'S3cret'")).toEqual(['(a text that was not parsed)']);
  });

  it('is not shown, but names are', () => {
    expect(textsOf('SELECT "a;\'b" FROM "x""y"')).toEqual(['SELECT "a;\'b" FROM "x""y"']);
  });
});

describe('a list', () => {
  const lengths = [1, 2, 3, 400];
  const ofLength = (n: number, item: (i: number) => string): string =>
    Array.from({ length: n }, (_, i) => item(i)).join(', ');

  it.each([
    ['IN', (i: number) => `${i}`],
    ['IN', (i: number) => `$${i + 1}::int`],
    ['IN', (i: number) => `'a${i}'::character varying(20)`],
    ['IN', (i: number) => `-${i}::numeric(10,2)[]`],
    ['IN', (i: number) => `(${i}, 'a', $${i + 1})`],
    ['NOT IN', (i: number) => `(NULL, ${i}::int)`],
  ])('behind %s is (...), however long it is (%#)', (word, item) => {
    const texts = lengths.map((n) => textsOf(`SELECT a FROM t WHERE a ${word} (${ofLength(n, item)})`));
    expect(new Set(texts.flat())).toEqual(new Set([`SELECT a FROM t WHERE a ${word} (...)`]));
  });

  it.each([
    (i: number) => `(${i}, 'a')`,
    (i: number) => `($${i + 1}::varchar, NULL, DEFAULT)`,
    (i: number) => `(E'\\${i % 8}', B'1')`,
    (i: number) => (i % 2 === 0 ? '(1, true)' : '(1::int, false)'),
  ])('of rows behind VALUES is (...), too (%#)', (item) => {
    const texts = lengths.map((n) => textsOf(`INSERT INTO t VALUES ${ofLength(n, item)}`));
    expect(new Set(texts.flat())).toEqual(new Set(['INSERT INTO t VALUES (...)']));
  });

  it('of anything else is shown', () => {
    const sql = 'SELECT a FROM t WHERE a IN (b, lower(?)) AND c IN (SELECT ? FROM u) AND "in" = f(?, ?)';
    expect(textsOf(sql.replaceAll('?', "'x'"))).toEqual([sql]);
  });
});

describe('several statements', () => {
  it('have a text each', () => {
    expect(textsOf('BEGIN; SELECT \';\' FROM "a;b"; COMMIT;')).toEqual(['BEGIN', 'SELECT ? FROM "a;b"', 'COMMIT']);
  });

  it('have the whole text, with their number, if it cannot be split', () => {
    const texts = textsOf('CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT 2; END; SELECT 3');
    expect(texts).toHaveLength(2);
    expect(texts[1]).toMatch(/^CREATE FUNCTION .*\[statement 2\]$/);
  });

  it('far behind in a long text have a text for each verb', () => {
    const texts = textsOf('SELECT 1; UPDATE a SET b = 2;'.repeat(500));
    expect(texts).toHaveLength(1_000);
    expect(new Set(texts)).toEqual(
      new Set([
        ...['SELECT ?', 'UPDATE a SET b = ?'],
        ...['SELECT (far behind in a long text)', 'UPDATE (far behind in a long text)'],
      ]),
    );
  });

  it('which are alike have the same id as the single one', () => {
    const [, second] = statementTexts(classifier.classify(Buffer.from('BEGIN; SELECT 1')).facts);
    const [single] = statementTexts(classifier.classify(Buffer.from('SELECT  2 ;')).facts);
    expect(second).toEqual(single);
    expect(single?.id).toMatch(/^[0-9a-f]{16}$/);
  });
});

it('a long text is cut, and differs by what was cut off', () => {
  const long = (last: string): string =>
    `SELECT ${Array.from({ length: 250 }, (_, i) => `column_${i}`).join()}, ${last}`;
  const [a] = statementTexts(classifier.classify(Buffer.from(long('a'))).facts);
  const [b] = statementTexts(classifier.classify(Buffer.from(long('b'))).facts);
  expect(a?.text).toHaveLength(1_000);
  expect(a?.text).toBe(b?.text);
  expect(long('a').length < 2_000 ? undefined : a?.id).toBe(a?.id);
});

it('a text is not cut in the middle of a character', () => {
  for (const before of ['', 'a']) {
    const [text = ''] = textsOf(`SELECT 1 AS "${before}${'\u{1F600}'.repeat(600)}"`);
    expect(text.length).toBeGreaterThan(990);
    expect(Buffer.from(text).toString()).toBe(text);
  }
});

it.each([
  `ALTER ROLE a SET "${'b""'.repeat(400)}" FROM CURRENT`,
  `SELECT 1 WHERE a IN (${'1::int, '.repeat(300)}b)`,
  `SELECT 1 WHERE ${'a IN (1::int, b) AND '.repeat(300)} true`,
  `INSERT INTO a VALUES ${'(1::int, NULL), '.repeat(150)}(1, b)`,
])(
  'no text takes long (%#)',
  (sql) => {
    const { facts } = classifier.classify(Buffer.from(sql));
    expect(facts.unparsed).toBeUndefined();
    expect(statementTexts(facts)).toHaveLength(1);
  },
  2_000,
);
