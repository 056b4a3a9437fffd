/** Texts that cannot be read may do anything, and are told apart by their first word only. */
import { beforeAll, expect, it } from 'vitest';
import { createClassifier } from '../../src/sql/classifier.ts';
import type { Classified } from '../../src/sql/facts.ts';
import { UnreadTexts } from '../../src/sql/unread-texts.ts';
import { statementTexts } from '../../src/statements/text.ts';

let functionCall: Classified;
let unread: UnreadTexts;
beforeAll(async () => {
  const classifier = await createClassifier();
  functionCall = classifier.classify(Buffer.from('CALL function_call()'));
  unread = new UnreadTexts(classifier, functionCall);
});

const latin1 = (sql: string): Classified => unread.of(Buffer.from(sql, 'latin1'));
const textOf = ({ facts }: Classified): unknown => statementTexts(facts).map(({ text, verb }) => [text, verb]);

it('are shown by their first word, and are the same object for each', () => {
  const select = latin1("SELECT 'é S3cret'");
  expect(select).toBe(latin1('/* ü */ select 1'));
  expect(textOf(select)).toEqual([['SELECT (not parsed)', 'SELECT']]);
  expect(textOf(latin1("'é' S3cret"))).toEqual([['(a text that was not parsed)', '']]);
  expect(textOf(unread.ofPiece(Buffer.from("INSERT INTO t VALUES ('S3cre")))).toEqual([
    ['INSERT (not parsed)', 'INSERT'],
  ]);
});

it('may do what a function may do, or leave state if they have a word for that', () => {
  expect(latin1("SELECT 'é'").facts.statements).toBe(functionCall.facts.statements);
  const leaves = latin1("SELECT 'é'; SET x = 1");
  expect(leaves.facts.statements[0]).toMatchObject({ kind: 'do', leavesState: true });
  expect(textOf(leaves)).toEqual([['SELECT (not parsed)', 'SELECT']]);
});

it('are of few kinds, however many first words there are', () => {
  const all = new Set(
    Array.from({ length: 1_000 }, (_, i) => latin1(`${'abcdefghij'[i % 10]}${'x'.repeat(i / 50)}y é`)),
  );
  expect(all.size).toBeLessThanOrEqual(66);
});
