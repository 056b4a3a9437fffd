/**
 * A channel between two processes: questions are answered, in order; errors arrive as what they were; nobody waits for a
 * process that is gone. Fails when an answer goes to another question, or a question outlives its channel.
 */
import { describe, expect, test } from 'vitest';
import { WeirError } from '../../src/errors/errors.ts';
import { Channel, ChannelClosed } from '../../src/workers/channel.ts';
import { memoryWires } from './memory-wire.ts';

interface Spoken {
  readonly [topic: string]: { readonly body: unknown; readonly reply: unknown };
  readonly double: { readonly body: number; readonly reply: number };
  readonly note: { readonly body: string; readonly reply: undefined };
}

function channels() {
  const [a, b] = memoryWires();
  const bugs: unknown[] = [];
  const unexpected = (error: unknown): void => void bugs.push(error);
  return {
    asker: new Channel<Spoken, Spoken>(a, unexpected),
    answerer: new Channel<Spoken, Spoken>(b, unexpected),
    close: () => a.close(),
    bugs,
  };
}

describe('a channel', () => {
  test('gives each question its own answer, whatever the order of the answers', async () => {
    const { asker, answerer } = channels();
    const release: (() => void)[] = [];
    answerer.on('double', (n) => new Promise((resolve) => release.push(() => resolve(n * 2))));
    const answers = [1, 2, 3].map((n) => asker.ask('double', n));
    while (release.length < 3) await new Promise(setImmediate);
    for (const go of release.reverse()) go();
    expect(await Promise.all(answers)).toEqual([2, 4, 6]);
  });

  test('delivers in order', async () => {
    const { asker, answerer } = channels();
    const heard: string[] = [];
    answerer.on('note', (text) => void heard.push(text));
    answerer.on('double', () => heard.length);
    for (const text of ['a', 'b', 'c']) asker.tell('note', text);
    expect(await asker.ask('double', 0)).toBe(3);
    expect(heard).toEqual(['a', 'b', 'c']);
  });

  test('a WeirError arrives as the same WeirError', async () => {
    const { asker, answerer, bugs } = channels();
    const said = new WeirError('console_refused', { what: 'MIN is larger than MAX' }, 'a detail');
    answerer.on('double', () => {
      throw said;
    });
    const error = await asker.ask('double', 1).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(WeirError);
    const { message, sqlstate, detail, hint, errorName } = error as WeirError;
    expect({ message, sqlstate, detail, hint, errorName }).toEqual({
      message: said.message,
      sqlstate: said.sqlstate,
      detail: 'a detail',
      hint: said.hint,
      errorName: 'console_refused',
    });
    expect(bugs).toEqual([]);
  });

  test('a bug in a handler fails the question and is told on the side where it is', async () => {
    const { asker, answerer, bugs } = channels();
    const bug = new TypeError('undefined is not a function');
    answerer.on('double', () => {
      throw bug;
    });
    await expect(asker.ask('double', 1)).rejects.toThrow('undefined is not a function');
    expect(bugs).toEqual([bug]);
  });

  test('without a handler, a question fails and a message is unexpected', async () => {
    const { asker, bugs } = channels();
    await expect(asker.ask('double', 1)).rejects.toThrow('no handler for "double"');
    asker.tell('note', 'x');
    await expect(asker.ask('double', 1)).rejects.toThrow();
    expect(bugs).toHaveLength(3);
  });

  test('the end of a channel ends its questions, on both sides, and later ones at once', async () => {
    const { asker, answerer, close } = channels();
    answerer.on('double', () => new Promise(() => undefined));
    const ends: string[] = [];
    asker.onClosed(() => ends.push('asker'));
    answerer.onClosed(() => ends.push('answerer'));
    const asked = asker.ask('double', 1);
    close();
    await expect(asked).rejects.toBeInstanceOf(ChannelClosed);
    await expect(answerer.ask('double', 1)).rejects.toBeInstanceOf(ChannelClosed);
    expect(asker.isClosed).toBe(true);
    asker.onClosed(() => ends.push('late'));
    expect(ends.sort()).toEqual(['answerer', 'asker', 'late']);
  });
});
