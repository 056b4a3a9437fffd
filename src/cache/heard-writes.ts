/**
 * Of which writes of other processes, and of which ends of them, this one has heard, and who waits to hear of one. Filled by
 * shared-stamps.ts.
 */

/** What a message about the end of a write is called here; its beginning has the token itself. */
export const endOf = (token: string): string => `${token} is over`;

/** More than can be sent while one message is under way. */
const mostRemembered = 10_000;

export class HeardWrites {
  /** Tokens, the newest last. */
  private readonly heard = new Set<string>();
  private readonly waiting = new Map<string, Set<() => void>>();

  note(token: string): void {
    this.heard.add(token);
    if (this.heard.size > mostRemembered) this.heard.delete(this.heard.keys().next().value!);
    for (const resolve of this.waiting.get(token) ?? []) resolve();
    this.waiting.delete(token);
  }

  /** Resolves when its message has arrived, or after `mostMs`. */
  whenHeard(token: string, mostMs: number): Promise<void> {
    if (this.heard.has(token)) return Promise.resolve();
    return new Promise((resolve) => {
      const all = this.waiting.get(token) ?? new Set();
      this.waiting.set(token, all);
      const timer = setTimeout(() => end(), mostMs).unref();
      const end = (): void => {
        clearTimeout(timer);
        all.delete(end);
        if (all.size === 0) this.waiting.delete(token);
        resolve();
      };
      all.add(end);
    });
  }

  /** Nothing that was learned counts any more, so nobody needs to wait. */
  forget(): void {
    this.heard.clear();
    for (const all of [...this.waiting.values()]) for (const end of [...all]) end();
  }
}
