/**
 * Waiting with an end: an operator is not kept waiting for a Redis that hangs. Used by cache.ts.
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
