/** Texts that come again byte for byte have the facts of the first time, and only those: fails if a slot answers for another text. */
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { createClassifier } from '../../src/sql/classifier.ts';
import type { Classified, Classifier } from '../../src/sql/facts.ts';
import { loadParser, type SqlParser } from '../../src/sql/parser.ts';
import { RecentTexts } from '../../src/sql/recent-texts.ts';

const known: Classified = { facts: { template: '', statements: [], unparsed: undefined }, hints: undefined };
let parser: SqlParser;

beforeAll(async () => {
  parser = await loadParser();
});

/** The facts of the text from a classifier that has seen nothing before. */
async function fresh(text: string): Promise<Classified> {
  return (await createClassifier({ parser })).classify(Buffer.from(text));
}

function classify(classifier: Classifier, text: string): Classified {
  return classifier.classify(Buffer.from(text));
}

test('whatever came before, a text has the facts that it has alone', async () => {
  const classifier = await createClassifier({ parser });
  const parts = [
    'select a from t',
    'insert into t values ($1)',
    '/* weir:route=primary */ ',
    'where a = $1',
    ' ',
    ';',
    "'x'",
    '--',
  ];
  const text = fc.array(fc.constantFrom(...parts), { maxLength: 4 }).map((chosen) => chosen.join(' '));
  await fc.assert(
    fc.asyncProperty(text, async (sql) => {
      expect(classify(classifier, sql)).toEqual(await fresh(sql));
    }),
    { numRuns: 500 },
  );
});

test('a text with a comment is remembered when it comes for the second time, hints included', async () => {
  const classifier = await createClassifier({ parser });
  const sql = '/* weir:route=replica */ select a from t where b = $1';
  const first = classify(classifier, sql);
  expect(first.hints).toBeDefined();
  const second = classify(classifier, sql);
  expect(second).toEqual(first);
  expect(classify(classifier, sql)).toBe(second);
});

test('texts whose comments are never the same push nothing out', async () => {
  const classifier = await createClassifier({ parser });
  const often = '/* weir:route=replica */ select a from t where b = $1';
  classify(classifier, often);
  const known = classify(classifier, often);
  for (let i = 0; i < 20_000; i++) {
    const id = createHash('md5').update(String(i)).digest('hex');
    classify(classifier, `select a from t /*traceparent='00-${id}-${id.slice(16)}-01'*/`);
  }
  expect(classify(classifier, often)).toBe(known);
});

test('a text with constants is remembered when it comes for the second time, with its own hints', async () => {
  const classifier = await createClassifier({ parser });
  const [one, other] = ["/* weir:route=replica */ select a from t where b = 'x1'", "select a from t where b = 'x2'"];
  const first = classify(classifier, one);
  const second = classify(classifier, one);
  expect(second).not.toBe(first);
  expect(classify(classifier, one)).toBe(second);
  classify(classifier, other);
  expect(classify(classifier, other).hints).toBeUndefined();
  expect(classify(classifier, one)).toEqual(first);
});

test('a text with constants that comes once pushes nothing out', () => {
  const recent = new RecentTexts();
  const often = Buffer.from('select $1');
  recent.note(often, known);
  for (let i = 0; i < 20_000; i++) recent.noteIfRepeated(Buffer.from(`select ${i}`), { ...known });
  expect(recent.find(often)).toBe(known);
});

test('of 100 texts that differ in a number at their end, most are remembered', () => {
  const recent = new RecentTexts();
  const texts = Array.from({ length: 100 }, (_, i) => Buffer.from(`select a from some_table where id = ${i};`));
  for (const text of [...texts, ...texts, ...texts, ...texts]) recent.noteIfRepeated(text, known);
  expect(texts.filter((text) => recent.find(text) === known).length).toBeGreaterThan(70);
});

test('the buffer of a text may be used again for something else', () => {
  const recent = new RecentTexts();
  const buffer = Buffer.from('select $1');
  recent.note(buffer, known);
  buffer.write('delete $1');
  expect(recent.find(buffer)).toBeUndefined();
  expect(recent.find(Buffer.from('select $1'))).toBe(known);
});

test('texts of every length up to the limit are found, longer ones and an empty one do no harm', () => {
  const recent = new RecentTexts();
  for (const length of [0, 1, 2, 3, 4, 7, 8, 1023, 1024]) {
    recent.note(Buffer.alloc(length, 'a'), known);
    expect(recent.find(Buffer.alloc(length, 'a'))).toBe(known);
    expect(recent.find(Buffer.alloc(length + 1, 'a'))).toBeUndefined();
  }
  recent.note(Buffer.alloc(1025, 'a'), known);
  expect(recent.find(Buffer.alloc(1025, 'a'))).toBeUndefined();
});
