/**
 * Which messages about writes of other processes have arrived here, and who waits for one of them. Filled by shared-stamps.ts,
 * asked through peers.ts.
 */

/** The name of the end of a write, as something to be heard of; that of its beginning is its token. */
export const endOf = (token: string): string => `${token} is over`;

/** More than can be sent while one message is under way. */
const mostRemembered = 10_000;

export class HeardWrites {
  /** Tokens, the newest last. */
  private readonly heard = new Set<string>();
  /** By token, what ends each wait. */
  private readonly waiting = new Map<string, Set<() => void>>();

  note(token: string): void {
    this.heard.add(token);
    if (this.heard.size > mostRemembered) this.heard.delete(this.heard.keys().next().value!);
    for (const end of this.waiting.get(token) ?? []) end();
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
    for (const all of this.waiting.values()) for (const end of all) end();
  }
}
