/**
 * Runs a statement of Weir's own (settings to replay, DISCARD ALL) on a server that nobody else is using.
 */
import { Answer, Owed } from '../protocol/answers.ts';
import { query } from '../protocol/write.ts';
import type { AnswerReceiver } from './receiver.ts';

interface Target {
  owe(answer: Answer<AnswerReceiver>): void;
  send(bytes: Buffer): void;
}

/** Resolves at ReadyForQuery; rejects with the first error's message, or why the connection was lost. */
export function runInternal(server: Target, sql: string): Promise<void> {
  return new Promise((resolve, reject) => {
    let problem: string | undefined;
    const nothing = (): void => undefined;
    const receiver: AnswerReceiver = {
      relay: nothing,
      completed: nothing,
      noticed: nothing,
      parameterChanged: nothing,
      drained: nothing,
      heldUp: nothing,
      errored: (fields) => {
        problem ??= fields.get('M') ?? 'unknown error';
      },
      ready: () => (problem === undefined ? resolve() : reject(new Error(problem))),
      lost: (why) => reject(new Error(why)),
    };
    server.owe(new Answer(Owed.Query, receiver));
    server.send(query(sql));
  });
}
