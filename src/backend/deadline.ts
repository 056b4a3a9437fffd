/**
 * One AbortSignal that is aborted when a time limit is over, or when the caller's own signal is. Called by backend/login.ts and cancel.ts.
 */

export interface Deadline {
  /** Its reason is an error made by `toError`. */
  readonly signal: AbortSignal;
  /** Must be called at the end: it stops the timer. */
  clear(): void;
}

/** @param mayTakeLonger asked when the time is over; true: it gets as much time once more */
export function createDeadline(
  timeoutMs: number,
  outer: AbortSignal | undefined,
  toError: (message: string) => Error,
  mayTakeLonger: () => boolean = () => false,
): Deadline {
  const controller = new AbortController();
  const timer = setInterval(() => {
    if (!mayTakeLonger()) controller.abort(toError(`timed out after ${timeoutMs} ms`));
  }, timeoutMs);
  const onAbort = (): void => controller.abort(toError('given up by Weir'));
  if (outer?.aborted === true) onAbort();
  else outer?.addEventListener('abort', onAbort);
  return {
    signal: controller.signal,
    clear() {
      clearInterval(timer);
      outer?.removeEventListener('abort', onAbort);
    },
  };
}
