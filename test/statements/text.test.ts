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

describe('several statements', () => {
  it('have a text each', () => {
    expect(textsOf('BEGIN; SELECT \';\' FROM "a;b"; COMMIT;')).toEqual(['BEGIN', 'SELECT ? FROM "a;b"', 'COMMIT']);
  });

  it('have the whole text, with their number, if it cannot be split', () => {
    const texts = textsOf('CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT 2; END; SELECT 3');
    expect(texts).toHaveLength(2);
    expect(texts[1]).toMatch(/^CREATE FUNCTION .*\[statement 2\]$/);
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
