/**
 * Runs a statement of Weir's own (settings to replay, DISCARD ALL) on a server that nobody else is using.
 */
import { Answer, Owed } from '../protocol/answers.ts';
import { Backend } from '../protocol/codes.ts';
import { query } from '../protocol/write.ts';
import type { PreparedSet } from './prepared-set.ts';
import type { AnswerReceiver } from './receiver.ts';

interface Target {
  readonly prepared: PreparedSet;
  owe(answer: Answer<AnswerReceiver>): void;
  send(bytes: Buffer): void;
}

/**
 * Resolves at ReadyForQuery, with the first value of the first row; rejects with the first error's message, or why the
 * connection was lost.
 */
export function runInternal(server: Target, sql: string): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    let problem: string | undefined;
    let value: string | undefined;
    const nothing = (): void => undefined;
    const receiver: AnswerReceiver = {
      relay: (buffer, start, end) => {
        value ??= firstValue(buffer, start, end);
      },
      completed: nothing,
      noticed: nothing,
      parameterChanged: nothing,
      drained: nothing,
      heldUp: nothing,
      errored: (fields) => {
        problem ??= fields.get('M') ?? 'unknown error';
      },
      ready: () => (problem === undefined ? resolve(value) : reject(new Error(problem))),
      lost: ({ why }) => reject(new Error(why)),
    };
    // A simple Query removes the unnamed statement.
    server.prepared.unnamed = undefined;
    server.owe(new Answer(Owed.Query, receiver));
    server.send(query(sql));
  });
}

/** The first value of the first DataRow among whole messages; undefined: there is none, or it is NULL. */
function firstValue(buffer: Buffer, start: number, end: number): string | undefined {
  for (let at = start; at + 5 <= end; at += 1 + buffer.readInt32BE(at + 1)) {
    if (buffer[at] !== Backend.DataRow) continue;
    const length = buffer.readInt32BE(at + 7);
    return length < 0 ? undefined : buffer.toString('utf8', at + 11, at + 11 + length);
  }
  return undefined;
}
