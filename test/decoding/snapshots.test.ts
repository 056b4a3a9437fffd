/** Which commits a snapshot sees, also where the low 32 bits of transaction IDs begin anew. */
import { describe, expect, test } from 'vitest';
import { hasEnded, readSnapshot, widen } from '../../src/decoding/snapshots.ts';
import { UnseenCommits } from '../../src/decoding/unseen-commits.ts';

const era = 2 ** 32;

describe('a snapshot', () => {
  test('as the server writes it', () => {
    expect(readSnapshot('10:20:')).toEqual({ xmin: 10, xmax: 20, running: new Set() });
    expect(readSnapshot('10:20:10,14')).toEqual({ xmin: 10, xmax: 20, running: new Set([10, 14]) });
  });

  test.each(['', '10:20', '10:20:a', '10:20:1,', '99999999999999999999:1:'])('not "%s"', (text) => {
    expect(() => readSnapshot(text)).toThrow(/not a snapshot/);
  });

  test('sees what has ended', () => {
    const snapshot = readSnapshot('10:20:10,14');
    const ended = [9, 10, 11, 14, 19, 20, 25].map((xid) => hasEnded(xid, snapshot));
    expect(ended).toEqual([true, false, true, false, true, false, false]);
  });

  test.each([
    [5, era + 10, era + 5],
    [era - 5, era + 10, era - 5],
    [3, era - 2, era + 3],
    [7, 10, 7],
  ])('%i near %i is %i', (xid, xmax, full) => {
    expect(widen(xid, { xmax })).toBe(full);
  });
});

describe('commits that were decoded', () => {
  const start = readSnapshot('10:20:12');

  test('are told when a snapshot sees them, once', () => {
    const commits = new UnseenCommits(readSnapshot('10:20:'));
    commits.committed(21, new Set([1, 2]));
    commits.committed(22, new Set([3]));
    expect(commits.seenBy(readSnapshot('20:23:21'))).toEqual(new Set([3]));
    expect(commits.isEmpty).toBe(false);
    expect(commits.seenBy(readSnapshot('23:23:'))).toEqual(new Set([1, 2]));
    expect(commits.seenBy(readSnapshot('23:23:'))).toEqual(new Set());
    expect(commits.isEmpty).toBe(true);
  });

  test('of a transaction that was running at the start: its tables if it is heard of, else any', () => {
    const heard = new UnseenCommits(start);
    heard.committed(12, new Set([1]));
    expect(heard.seenBy(readSnapshot('20:20:'))).toEqual(new Set([1]));
    expect(heard.seenBy(readSnapshot('20:20:'))).toEqual(new Set());
    const unheard = new UnseenCommits(start);
    expect(unheard.seenBy(readSnapshot('12:25:12'))).toEqual(new Set());
    expect(unheard.seenBy(readSnapshot('25:25:'))).toBeUndefined();
    expect(unheard.seenBy(readSnapshot('25:25:'))).toEqual(new Set());
  });

  test('of too many tables, or too many commits: any table', () => {
    const commits = new UnseenCommits(readSnapshot('10:20:'));
    commits.committed(20, new Set(Array.from({ length: 1_001 }, (_, i) => i)));
    expect(commits.seenBy(readSnapshot('30:30:'))).toBeUndefined();
    for (let xid = 30; xid <= 10_030; xid++) commits.committed(xid, new Set([1]));
    expect(commits.seenBy(readSnapshot('30:31:'))).toBeUndefined();
    expect(commits.seenBy(readSnapshot('20000:20000:'))).toBeUndefined();
    expect(commits.isEmpty).toBe(true);
    expect(commits.seenBy(readSnapshot('20000:20000:'))).toEqual(new Set());
  });

  test('that have written nothing of the publication say nothing', () => {
    const commits = new UnseenCommits(readSnapshot('10:20:'));
    commits.committed(20, new Set());
    expect(commits.isEmpty).toBe(true);
  });
});
