/**
 * Notices that a server has answered nothing for long although it owes answers: while the monitor rests, that is the only sign of a
 * server that is gone without a word. Used by monitor.ts.
 */
import type { NodeLoad } from './types.ts';

const PATIENCE_MS = 5000;

export class Unanswered {
  #answered = -1;
  #sinceMs = -Infinity;

  /** To be called several times a second. @returns true, once per PATIENCE_MS, while that is so */
  look(load: Pick<NodeLoad, 'outstanding' | 'answered'> | undefined, nowMs: number): boolean {
    if (load === undefined) return false;
    const isOwed = load.outstanding > 0 && load.answered === this.#answered;
    if (isOwed && nowMs - this.#sinceMs < PATIENCE_MS) return false;
    this.#answered = load.answered;
    this.#sinceMs = nowMs;
    return isOwed;
  }
}
