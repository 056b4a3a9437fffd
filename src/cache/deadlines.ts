/**
 * Waits with a time limit, so that neither an administrator nor a query hangs when Redis does not answer.
 */

/** Resolves when `work` is done, or after `ms`. */
export async function waitAtMost(work: Promise<unknown>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([work, deadline]);
  clearTimeout(timer);
}

/** Resolves to the value of `answer`, which never rejects. After `ms`, calls `onLate` and resolves to undefined. */
export function answerWithin<T>(answer: Promise<T>, ms: number, onLate: () => void): Promise<T | undefined> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      onLate();
      resolve(undefined);
    }, ms).unref();
    void answer.then((value) => {
      clearTimeout(timer);
      resolve(value);
    });
  });
}
