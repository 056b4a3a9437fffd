/**
 * One AbortSignal for "it took too long" and "the caller changed its mind". Called by backend/login.ts and cancel.ts.
 */

export interface Deadline {
  /** Its reason is an error made by `toError`. */
  readonly signal: AbortSignal;
  /** Must be called when all is over. */
  clear(): void;
}

/** @param isPatient asked when the time is over: true grants as much once more */
export function createDeadline(
  timeoutMs: number,
  outer: AbortSignal | undefined,
  toError: (message: string) => Error,
  isPatient: () => boolean = () => false,
): Deadline {
  const controller = new AbortController();
  const timer = setInterval(() => {
    if (!isPatient()) controller.abort(toError(`timed out after ${timeoutMs} ms`));
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
