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
  test('counts the Syncs that it swallows', () => {
    const queue = new AnswerQueue<string>();
    owe(queue, Owed.Execute, Owed.Sync, Owed.Sync, Owed.CopyEnd, Owed.Sync);
    expect(queue.copyInStarted()).toBe(2);
    expect(kinds(queue)).toEqual([Owed.Execute, Owed.Sync]);
  });

  test('a Sync pipelined behind its Execute is ignored, the one behind the data counts', () => {
    const queue = new AnswerQueue<string>();
    owe(queue, Owed.Execute, Owed.Sync);
    queue.copyInStarted();
    expect(queue.isInCopy).toBe(true);
    owe(queue, Owed.CopyEnd, Owed.Sync);
    expect(queue.isInCopy).toBe(false);
    expect(kinds(queue)).toEqual([Owed.Execute, Owed.Sync]);
  });

  test('data sent ahead of CopyInResponse ends at its own mark', () => {
    const queue = new AnswerQueue<string>();
    owe(queue, Owed.Execute, Owed.Sync, Owed.CopyEnd, Owed.Sync, Owed.Query);
    queue.copyInStarted();
    expect(queue.isInCopy).toBe(false);
    expect(kinds(queue)).toEqual([Owed.Execute, Owed.Sync, Owed.Query]);
  });

  test('an error ends it', () => {
    const queue = new AnswerQueue<string>();
    owe(queue, Owed.Query);
    queue.copyInStarted();
    queue.failed();
    expect(queue.isInCopy).toBe(false);
    owe(queue, Owed.CopyEnd);
    expect(kinds(queue)).toEqual([Owed.Query, Owed.CopyEnd]);
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
