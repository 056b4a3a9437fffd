/**
 * What the classifier says of a text by its template must be what PostgreSQL's parser says of the text itself: constants,
 * comments and strings of every kind must never hide a statement, nor make one out of what is none.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createClassifier } from '../../src/sql/classifier.ts';
import { extractStatements } from '../../src/sql/extract.ts';
import type { StatementFacts } from '../../src/sql/facts.ts';
import { loadParser } from '../../src/sql/parser.ts';
import { Reading } from '../../src/sql/reading.ts';
import { summarizeAll } from './summary.ts';

const parser = await loadParser();
const classifier = await createClassifier({ parser });

/** What strings and comments hold: all that could end one, begin another, or look like a statement. */
const inside = fc
  .array(
    fc.constantFrom(
      ...["''", '"', '\\', "\\'", '$$', '$a$', '/*', '*/', '--', ';', ' ', 'x', '1', 'now', 'é', '\n', '%', "'"],
      ...['; DELETE FROM t; ', "'; DELETE FROM t --", "\\'; DELETE FROM t --", '*/ DELETE FROM t /*'],
    ),
    { maxLength: 4 },
  )
  .map((parts) => parts.join(''));
const doubled = (text: string, quote: string): string => text.replaceAll(quote, quote + quote);
const literal = fc.oneof(
  fc.constantFrom('1', '1.5', '1e3', '.5', '0x1F', '1_000', 'NULL', 'true', '$1', "B'01'", "X'1F'", "N'n'", '-1', "''"),
  inside.map((text) => `'${doubled(text, "'")}'`),
  inside.map((text) => `'${text}'`),
  inside.map((text) => `E'${text}'`),
  inside.map((text) => `e'${doubled(text, "'")}'`),
  inside.map((text) => `U&'${doubled(text, "'").replaceAll('\\', '')}'`),
  inside.map((text) => `$$${text}$$`),
  inside.map((text) => `$a$${text}$a$`),
  fc.tuple(inside, inside).map(([one, two]) => `'${doubled(one, "'")}'\n'${doubled(two, "'")}'`),
);
const gap = fc.oneof(
  { weight: 6, arbitrary: fc.constant(' ') },
  { weight: 1, arbitrary: fc.constantFrom('\n', '\t', '/**/', '/* /* nested */ */', '-- line\n', '--\r', ' /* */ ') },
  { weight: 1, arbitrary: inside.map((text) => `/*${text}*/`) },
  { weight: 1, arbitrary: inside.map((text) => `--${text.replaceAll('\n', '')}\n`) },
);

/** # stands for a constant; blanks for any white space. */
const shapes = [
  'SELECT #',
  'SELECT # , #',
  'SELECT a FROM t WHERE b = # AND c = #',
  'SELECT a FROM t WHERE b IN ( # , # )',
  'SELECT "a""b" , U&"d" FROM t WHERE b = ANY ( ARRAY[ # , # ] )',
  'SELECT f ( # )',
  "SELECT nextval ( 's' ) , #",
  'SELECT a FROM t WHERE b = # FOR UPDATE',
  'INSERT INTO t VALUES ( # , # ) , ( # , # )',
  'INSERT INTO t SELECT #',
  'DELETE FROM t WHERE a = #',
  'UPDATE t SET a = # WHERE b = #',
  'WITH w AS ( DELETE FROM t WHERE a = # RETURNING * ) SELECT * FROM w',
  'EXPLAIN ANALYZE DELETE FROM t WHERE a = #',
  'COPY t FROM STDIN',
  'TRUNCATE t',
  'SELECT a INTO b FROM t WHERE c = #',
  'VALUES ( # )',
  'BEGIN',
  'COMMIT',
  'DO $do$ BEGIN DELETE FROM t ; END $do$',
  'CREATE TABLE n AS SELECT #',
];
const statement = fc
  .tuple(
    fc.constantFrom(...shapes),
    fc.array(literal, { minLength: 4, maxLength: 4 }),
    fc.array(gap, { minLength: 16, maxLength: 16 }),
  )
  .map(([shape, literals, gaps]) => {
    let constants = 0;
    let gapsUsed = 0;
    return shape
      .split(' ')
      .map(
        (word) =>
          word.replace('#', () => literals[constants++ % literals.length] ?? '1') +
          (gaps[gapsUsed++ % gaps.length] ?? ' '),
      )
      .join('');
  });
const slip = fc.record({
  at: fc.nat(200),
  text: fc.constantFrom("'", '"', '\\', '$', '/', '*', '-', 'E', 'U&', '\n', ';', '$$', '--', '/*', '*/', '(', ')', ''),
});
const text = fc
  .tuple(
    fc.array(statement, { minLength: 1, maxLength: 3 }),
    fc.constantFrom(';', '; ', ';\n', ' '),
    fc.oneof({ weight: 2, arbitrary: fc.constant([]) }, { weight: 1, arbitrary: fc.array(slip, { maxLength: 2 }) }),
  )
  .map(([statements, separator, slips]) => {
    let sql = statements.join(separator);
    for (const { at, text: typed } of slips) {
      const place = at % (sql.length + 1);
      sql = sql.slice(0, place) + typed + sql.slice(place + (typed === '' ? 1 : 0));
    }
    return sql;
  });

function withoutTime(statements: readonly StatementFacts[]): string {
  const timeless = statements.map((one) => ({ ...one, valueFunctions: [] }));
  return summarizeAll({ template: '', statements: timeless, unparsed: undefined });
}

describe('by template or by text', () => {
  test('a statement is what it is', { timeout: 120_000 }, () => {
    let understood = 0;
    const property = fc.property(text, (sql) => {
      const { tree, problem } = parser.parse(sql);
      const said = classifier.classify(Buffer.from(sql)).facts;
      // What the server will not parse does nothing.
      if (problem !== undefined) return;
      understood++;
      // Saying that it is not known is always allowed.
      if (said.unparsed !== undefined) return;
      const statements = extractStatements(tree, new Reading(false));
      if (statements.length === 0) {
        expect(said.statements.map(({ kind }) => kind)).toEqual(['empty']);
        return;
      }
      expect(withoutTime(said.statements)).toBe(withoutTime(statements));
      // A constant may be taken for the present moment when it is not, but not the other way round.
      for (const [i, { valueFunctions }] of statements.entries())
        expect(said.statements[i]?.valueFunctions).toEqual(expect.arrayContaining([...valueFunctions]));
    });
    fc.assert(property, { numRuns: 20_000, endOnFailure: false });
    expect(understood).toBeGreaterThan(4_000);
  });
});
