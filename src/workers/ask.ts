/**
 * A question to another process whose answer has a time limit. Used by the supervisor, which must wait for no worker for
 * ever.
 */
import { ChannelClosed } from './channel.ts';

export type Answer<T> =
  | { readonly kind: 'answer'; readonly value: T }
  | { readonly kind: 'refused'; readonly error: Error }
  /** It has ended. */
  | { readonly kind: 'gone' }
  /** It did not answer in time. */
  | { readonly kind: 'silent' };

/**
 * Never rejects.
 * @param limitMs undefined: as long as the other process lives
 */
export function answerOf<T>(question: Promise<T>, limitMs: number | undefined): Promise<Answer<T>> {
  return new Promise((resolve) => {
    const timer = limitMs === undefined ? undefined : setTimeout(() => resolve({ kind: 'silent' }), limitMs);
    const end = (answer: Answer<T>): void => {
      clearTimeout(timer);
      resolve(answer);
    };
    question.then(
      (value) => end({ kind: 'answer', value }),
      (error: unknown) => {
        if (error instanceof ChannelClosed) end({ kind: 'gone' });
        else end({ kind: 'refused', error: error instanceof Error ? error : new Error(String(error)) });
      },
    );
  });
}

/** The first answer that is not undefined, without waiting for the others. Undefined: nobody knows. Never rejects. */
export async function firstKnown<T>(questions: readonly Promise<T | undefined>[]): Promise<T | undefined> {
  const unknown = new Error('not known');
  const known = questions.map(async (question) => {
    const answer = await question;
    if (answer === undefined) throw unknown;
    return answer;
  });
  return Promise.any(known).catch(() => undefined);
}
