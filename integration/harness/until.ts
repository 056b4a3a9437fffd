/**
 * Waiting for a condition with a deadline instead of sleeping for luck. Used by the harness and by every test
 * that waits for something to become true in another process.
 */
import { setTimeout as sleep } from 'node:timers/promises';

export interface UntilOptions {
  /** Default 60,000: only what will never become true gets there. */
  readonly timeoutMs?: number;
  /** Default 20. */
  readonly intervalMs?: number;
}

/**
 * Asks again and again until the answer is neither undefined, null nor false, and returns it. An exception counts as
 * "not yet"; the last one becomes the cause of the error that is thrown at the deadline.
 */
export async function until<T>(
  what: string,
  ask: () => T | Promise<T>,
  options: UntilOptions = {},
): Promise<Exclude<T, false | null | undefined>> {
  const { timeoutMs = 60_000, intervalMs = 20 } = options;
  const deadline = performance.now() + timeoutMs;
  let cause: unknown;
  for (;;) {
    try {
      const answer = await ask();
      if (answer !== undefined && answer !== null && answer !== false) {
        return answer as Exclude<T, false | null | undefined>;
      }
      cause = undefined;
    } catch (error) {
      cause = error;
    }
    if (performance.now() > deadline) {
      const last = cause === undefined ? '' : `; last: ${cause instanceof Error ? cause.message : String(cause)}`;
      throw new Error(`timed out after ${timeoutMs} ms waiting for ${what}${last}`, { cause });
    }
    await sleep(intervalMs);
  }
}
