/** The queue of owed answers against the manual's chapter "Message Flow". */
import { describe, expect, test } from 'vitest';
import { Answer, AnswerQueue, Owed, type OwedKind } from '../../src/protocol/answers.ts';

function owe(queue: AnswerQueue<string>, ...kinds: OwedKind[]): string[] {
  const undone: string[] = [];
  kinds.forEach((kind, i) => queue.push(new Answer(kind, `r${i}`, false, undefined, () => undone.push(`${kind}`))));
  return undone;
}

function kinds(queue: AnswerQueue<string>): OwedKind[] {
  const found: OwedKind[] = [];
  for (let head = queue.head(); head !== undefined; head = queue.head()) {
    found.push(head.kind);
    queue.shift();
  }
  return found;
}

describe('errors', () => {
  test('in a batch, everything up to its Sync is forgotten and undone', () => {
    const queue = new AnswerQueue<string>();
    const undone = owe(queue, Owed.Parse, Owed.Bind, Owed.Execute, Owed.Sync, Owed.Query);
    queue.failed();
    expect(undone).toHaveLength(3);
    expect(kinds(queue)).toEqual([Owed.Sync, Owed.Query]);
  });

  test('before the Sync was sent, what comes until then is ignored, as by the server', () => {
    const queue = new AnswerQueue<string>();
    owe(queue, Owed.Parse);
    queue.failed();
    expect(queue.isQuiet).toBe(false);
    const undone = owe(queue, Owed.Bind, Owed.Execute);
    expect(undone).toHaveLength(2);
    expect(queue.length).toBe(0);
    owe(queue, Owed.Sync);
    expect(kinds(queue)).toEqual([Owed.Sync]);
    expect(queue.isQuiet).toBe(true);
  });

  test('take along a Query that was sent in the same batch', () => {
    const queue = new AnswerQueue<string>();
    const undone = owe(queue, Owed.Parse, Owed.Query, Owed.FunctionCall, Owed.Sync, Owed.Query);
    expect(queue.isInBatch).toBe(false);
    queue.failed();
    expect(undone).toHaveLength(3);
    expect(kinds(queue)).toEqual([Owed.Sync, Owed.Query]);
  });

  test('are undone backwards, and only the first was not skipped', () => {
    const queue = new AnswerQueue<string>();
    const undone: string[] = [];
    for (const name of ['a', 'b', 'c']) {
      const undo = (isSkipped: boolean): void => void undone.push(`${name} ${isSkipped ? 'skipped' : 'failed'}`);
      queue.push(new Answer(Owed.Parse, 'r', false, undefined, undo));
    }
    queue.failed();
    expect(undone).toEqual(['c skipped', 'b skipped', 'a failed']);
  });

  test('of a Query leave its ReadyForQuery owed', () => {
    const queue = new AnswerQueue<string>();
    owe(queue, Owed.Query);
    queue.failed();
    expect(kinds(queue)).toEqual([Owed.Query]);
  });
});

describe('COPY from the client', () => {
  const begun = (kind: OwedKind): AnswerQueue<string> => {
    const queue = new AnswerQueue<string>();
    const answer = new Answer(kind, 'r');
    answer.mayCopyIn = true;
    queue.push(answer);
    return queue;
  };

  test('is not known before the server has said so', () => {
    const queue = begun(Owed.Execute);
    expect([queue.isUnsure, queue.isInCopy]).toEqual([true, false]);
    expect(queue.copyInStarted()).toBe(true);
    expect([queue.isUnsure, queue.isInCopy]).toEqual([false, true]);
    queue.copyEnded();
    expect([queue.isUnsure, queue.isInCopy]).toEqual([false, false]);
    queue.shift();
    expect(queue.isQuiet).toBe(true);
  });

  test('a Query may bring another one', () => {
    const queue = begun(Owed.Query);
    queue.copyInStarted();
    queue.copyEnded();
    expect(queue.isUnsure).toBe(true);
    expect(queue.copyInStarted()).toBe(true);
    expect(queue.isInCopy).toBe(true);
  });

  test('nobody asked for it', () => {
    const queue = new AnswerQueue<string>();
    owe(queue, Owed.Execute);
    expect(queue.copyInStarted()).toBe(false);
  });

  test('Syncs among the data leave it unsure until its end', () => {
    const queue = begun(Owed.Execute);
    queue.copyInStarted();
    queue.syncInCopy();
    queue.copyEnded();
    expect(queue.isUnsure).toBe(true);
    owe(queue, Owed.Sync);
    expect(queue.isUnsure).toBe(true);
    queue.shift();
    expect([queue.isUnsure, kinds(queue)]).toEqual([false, [Owed.Sync]]);
  });

  test('when it has failed they are counted', () => {
    const queue = begun(Owed.Execute);
    queue.copyInStarted();
    queue.syncInCopy();
    expect(queue.failed()).toBe(true);
    expect([queue.isCounting, queue.isUnsure, queue.isQuiet]).toEqual([true, true, false]);
    queue.counted();
    expect([queue.isCounting, queue.isUnsure, queue.isQuiet]).toEqual([false, false, true]);
  });

  test('without any the error ends it', () => {
    const queue = begun(Owed.Query);
    queue.copyInStarted();
    expect(queue.failed()).toBe(false);
    expect(queue.isInCopy).toBe(false);
    expect(kinds(queue)).toEqual([Owed.Query]);
  });
});

test('when the server dies everybody is told once, in order', () => {
  const queue = new AnswerQueue<string>();
  queue.push(new Answer(Owed.Query, 'a'));
  queue.push(new Answer(Owed.Query, 'b'));
  queue.push(new Answer(Owed.Query, 'a'));
  expect(queue.drain()).toEqual(['a', 'b']);
  expect(queue.isQuiet).toBe(true);
});
