/** Every cell of the table of transaction ends, and what the tags of real statements say. */
import { describe, expect, test } from 'vitest';
import { after, commitsByItself, eventOf } from '../../src/session/transaction.ts';
import type { Phase, TransactionEvent } from '../../src/session/transaction.ts';
import { createClassifier } from '../../src/sql/classifier.ts';
import type { StatementFacts } from '../../src/sql/facts.ts';

const classifier = await createClassifier();
const phases: readonly Phase[] = ['implicit', 'none', 'block', 'failed', 'skipped'];

function facts(sql: string): StatementFacts {
  return classifier.classify(Buffer.from(sql)).facts.statements[0]!;
}

describe('the table', () => {
  test.each(phases)('%s: what the server says was committed is, whatever it was before', (phase) => {
    expect(after(phase, 'commit')).toEqual(['none', 'committed']);
    expect(after(phase, 'commit and chain')).toEqual(['block', 'committed']);
  });

  test.each(phases)('%s: a rollback takes everything back, one to a savepoint nothing for sure', (phase) => {
    expect(after(phase, 'rollback')).toEqual(['none', 'rolled back']);
    expect(after(phase, 'rollback and chain')).toEqual(['block', 'rolled back']);
    expect(after(phase, 'rollback to')).toEqual([phase === 'failed' ? 'block' : phase, 'open']);
  });

  test.each(phases)('%s: in a block nothing is decided', (phase) => {
    expect(after(phase, 'in block')).toEqual(['block', 'open']);
    expect(after(phase, 'in failed block')).toEqual(['failed', 'open']);
  });

  test.each<[Phase, TransactionEvent, Phase, string]>([
    ['implicit', 'begin', 'block', 'open'],
    ['none', 'begin', 'block', 'open'],
    ['block', 'begin', 'block', 'open'],
    ['failed', 'begin', 'failed', 'open'],
    ['skipped', 'begin', 'block', 'open'],
    ['implicit', 'program', 'implicit', 'committed'],
    ['none', 'program', 'implicit', 'committed'],
    ['block', 'program', 'block', 'open'],
    ['failed', 'program', 'failed', 'open'],
    ['skipped', 'program', 'implicit', 'committed'],
    ['implicit', 'other', 'implicit', 'open'],
    ['none', 'other', 'implicit', 'open'],
    ['block', 'other', 'block', 'open'],
    ['failed', 'other', 'failed', 'open'],
    ['skipped', 'other', 'implicit', 'open'],
    ['implicit', 'error', 'skipped', 'open'],
    ['none', 'error', 'skipped', 'open'],
    ['block', 'error', 'failed', 'open'],
    ['failed', 'error', 'failed', 'open'],
    ['skipped', 'error', 'skipped', 'open'],
    ['implicit', 'program error', 'skipped', 'committed'],
    ['none', 'program error', 'skipped', 'committed'],
    ['block', 'program error', 'failed', 'open'],
    ['failed', 'program error', 'failed', 'open'],
    ['skipped', 'program error', 'skipped', 'committed'],
    ['implicit', 'idle', 'implicit', 'committed'],
    ['none', 'idle', 'implicit', 'rolled back'],
    ['block', 'idle', 'implicit', 'committed'],
    ['failed', 'idle', 'implicit', 'committed'],
    ['skipped', 'idle', 'implicit', 'rolled back'],
  ])('%s + %s -> %s, %s', (phase, event, next, fate) => {
    expect(after(phase, event)).toEqual([next, fate]);
  });
});

describe('what a CommandComplete says', () => {
  test.each<[string, string, TransactionEvent]>([
    ['BEGIN', 'BEGIN', 'begin'],
    ['START TRANSACTION', 'START TRANSACTION', 'begin'],
    ['COMMIT', 'COMMIT', 'commit'],
    ['END', 'COMMIT', 'commit'],
    ['END AND CHAIN', 'COMMIT', 'commit and chain'],
    ['COMMIT', 'ROLLBACK', 'rollback'],
    ['COMMIT AND CHAIN', 'ROLLBACK', 'rollback and chain'],
    ['ROLLBACK', 'ROLLBACK', 'rollback'],
    ['ABORT', 'ROLLBACK', 'rollback'],
    ['ABORT AND CHAIN', 'ROLLBACK', 'rollback and chain'],
    ['ROLLBACK TO s', 'ROLLBACK', 'rollback to'],
    ['SAVEPOINT s', 'SAVEPOINT', 'other'],
    ['RELEASE s', 'RELEASE', 'other'],
    ["PREPARE TRANSACTION 'x'", 'PREPARE TRANSACTION', 'commit'],
    ["PREPARE TRANSACTION 'x'", 'ROLLBACK', 'rollback'],
    ["COMMIT PREPARED 'x'", 'COMMIT PREPARED', 'program'],
    ["ROLLBACK PREPARED 'x'", 'ROLLBACK PREPARED', 'other'],
    ['CALL p()', 'CALL', 'program'],
    ["DO 'BEGIN END'", 'DO', 'program'],
    ['UPDATE t SET v = 1', 'UPDATE 1', 'other'],
  ])('%s: %s', (sql, tag, event) => {
    expect(eventOf(tag, facts(sql))).toBe(event);
  });

  test('of a statement that nobody could read: the tag alone counts', () => {
    expect(eventOf('COMMIT', undefined)).toBe('commit');
    expect(eventOf('ROLLBACK', undefined)).toBe('rollback to');
    expect(eventOf('CALL', undefined)).toBe('program');
    expect(eventOf('INSERT 0 1', undefined)).toBe('other');
  });

  test.each([
    ['CALL p()', true],
    ["DO 'BEGIN END'", true],
    ['not parsed', true],
    ['VACUUM t', true],
    ["COMMIT PREPARED 'x'", true],
    ['CREATE INDEX CONCURRENTLY ON t (v)', true],
    ['ALTER TABLE t DETACH PARTITION p CONCURRENTLY', true],
    ['CREATE INDEX ON t (v)', false],
    ['UPDATE t SET v = 1', false],
  ])('%s commits by itself, perhaps before it fails: %s', (sql, expected) => {
    const classified = classifier.classify(Buffer.from(sql)).facts;
    expect(commitsByItself(classified.statements[0]!, classified.template)).toBe(expected);
  });
});
