/**
 * When a worker that has ended is started again: at once if it has served for a while, else with growing pauses. Pure; one
 * object for each place of a worker.
 */
/** A worker that served for this long was sound: the next start is the first again. */
const soundMs = 60_000;
const firstPauseMs = 500;
const longestPauseMs = 30_000;
/** So many starts in a row without serving: it is not chance. */
export const hopelessAfter = 3;

/** Why a restart stops half-way: the whole Weir is ending. */
export class WeirEnds extends Error {
  constructor() {
    super('Weir ends');
    this.name = 'WeirEnds';
  }
}

/** For the next supervisor; survives a structured clone. */
export interface RestartsState {
  readonly count: number;
  readonly failures: number;
  readonly isFirst: boolean;
}

export class Restarts {
  /** Since the start of Weir, for SHOW WORKERS. */
  count: number;
  private failures: number;
  private isFirst: boolean;

  constructor({ count, failures, isFirst }: RestartsState = { count: 0, failures: 0, isFirst: true }) {
    this.count = count;
    this.failures = failures;
    this.isFirst = isFirst;
  }

  state(): RestartsState {
    const { count, failures, isFirst } = this;
    return { count, failures, isFirst };
  }

  /** Starts in a row of which none served. */
  get failedStarts(): number {
    return this.failures;
  }

  /**
   * A worker has ended unasked.
   * @param servedMs how long it served; undefined: it ended before it could
   * @returns after how many milliseconds to start the next
   */
  pauseAfter(servedMs: number | undefined): number {
    this.count++;
    this.failures = servedMs === undefined ? this.failures + 1 : 0;
    if (servedMs !== undefined && servedMs >= soundMs) this.isFirst = true;
    if (this.isFirst && servedMs !== undefined) {
      this.isFirst = false;
      return 0;
    }
    return Math.min(longestPauseMs, firstPauseMs * 2 ** Math.max(0, this.failures - 1));
  }
}
