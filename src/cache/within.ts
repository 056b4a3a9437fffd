/**
 * Waiting with an end: neither an operator nor a query is kept waiting for a Redis that hangs. Used by
 * invalidation.ts, peers.ts and redis.ts.
 */

/** Resolves when `work` is done, or after `ms`. */
export async function within(work: Promise<unknown>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([work, deadline]);
  clearTimeout(timer);
}

/** What `answer` brings, which never rejects; undefined after `ms`, and then `late` was called. */
export function unlessLate<T>(answer: Promise<T>, ms: number, late: () => void): Promise<T | undefined> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      late();
      resolve(undefined);
    }, ms).unref();
    void answer.then((value) => {
      clearTimeout(timer);
      resolve(value);
    });
  });
}
