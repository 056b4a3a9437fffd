/**
 * When the watch over a catalog looks again: every two seconds, sooner when a session waits for it, and with growing
 * pauses while looks fail. Only computes times: sends no queries and has no timer. Used by schema-watch.ts.
 */

const POLL_MS = 2000;
/** When a session waits: least time from the start of one look to the start of the next. */
const HURRY_MS = 50;
/** When a session waits: comparing takes at most one part in this many of the time. */
const HURRY_SHARE = 20;
const RETRY_MIN_MS = 100;
const RETRY_MAX_MS = 5000;
/** How much longer the pauses are if a connection is made for each look. */
export const BRIEF_FACTOR = 30;

export class LookPace {
  readonly #pollMs: number;
  /** A session waits for the next look. */
  isHurried = false;
  /** How long the last comparison took, in milliseconds. */
  tookMs = 0;
  #beganAtMs = -Infinity;
  #retryMs = RETRY_MIN_MS;

  constructor(pollMs = POLL_MS) {
    this.#pollMs = pollMs;
  }

  /** The last look failed. */
  get isRetrying(): boolean {
    return this.#retryMs > RETRY_MIN_MS;
  }

  /** A look begins. */
  begin(): void {
    // Reset here, not on success: when no node can be asked, the next look must not follow at once.
    this.isHurried = false;
    this.#beganAtMs = performance.now();
  }

  succeeded(): void {
    this.#retryMs = RETRY_MIN_MS;
  }

  /** @returns milliseconds until the next try */
  failed(): number {
    const waitMs = this.#retryMs;
    this.#retryMs = Math.min(RETRY_MAX_MS, this.#retryMs * 2);
    return waitMs;
  }

  /**
   * Milliseconds until the next look.
   * @param crowding factor >= 1 for the time between two looks
   */
  pauseMs(crowding: number): number {
    const pollMs = this.#pollMs * crowding;
    if (!this.isHurried) return pollMs;
    const gapMs = Math.max(HURRY_MS, HURRY_SHARE * this.tookMs);
    return Math.min(pollMs, Math.max(0, this.#beganAtMs + gapMs - performance.now()));
  }
}
