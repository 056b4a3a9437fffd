/**
 * Looks for the smallest number of statements at once with which a pool does as much as with any more: compares two numbers in
 * turns, window by window, and keeps the smaller one if it does at least 97 % of what the larger one does. Work is counted in what
 * each statement takes alone, so that another mix of statements does not look like another speed. Called by at-once-loop.ts.
 */
import type { StateTable } from '../util/state-table.ts';

/** What happened in half a second. */
export interface WorkWindow {
  /** Statements that ended; their time, and what they would have taken alone; ms. */
  readonly count: number;
  readonly latencyMs: number;
  readonly aloneMs: number;
  /** Statements at once, on average. */
  readonly running: number;
  /** Clients waited because of the limit. */
  readonly isHoldingBack: boolean;
  /** Weir itself was the bottleneck: the figures say nothing about the server. */
  readonly isContaminated: boolean;
}

export interface SettledChange {
  readonly from: number;
  readonly to: number;
  readonly why: string;
}

export const searchStates = {
  free: { 'statements slow each other down': 'comparing' },
  comparing: { decided: 'comparing', 'neither is better': 'holding', 'nobody is held back': 'free' },
  holding: { 'time to look again': 'comparing', 'the mix has changed': 'comparing', 'nobody is held back': 'free' },
} as const satisfies StateTable<'free' | 'comparing' | 'holding', string>;

export type SearchState = keyof typeof searchStates;

/** Below this many statements a window says too little. */
const leastCount = 20;
/** Slower than alone by this factor: worth a look. */
const slowedDown = 1.5;
const slowWindows = 4;
/** The smaller number is kept if it does as much of the other's work; the larger one if it does as much more. */
const nearlyAll = 0.97;
const more = 1.03;
/** A difference this large is believed after one pair of windows. */
const plainly = { less: 0.85, more: 1.05 };
const pairs = 3;
const leastLimit = 2;
const steps = { down: 0.7, fineDown: 0.85, up: 1.25, fastUp: 2 };
const shortestHold = 10;
const longestHold = 120;
/** So many windows without anybody held back: the load is gone. */
const idleWindows = 20;
/** A change of the time that statements take alone, on average. */
const otherMix = 1.5;

interface Comparison {
  readonly direction: 'down' | 'up';
  readonly candidate: number;
  readonly done: { candidate: number; base: number };
  /** Windows played, and thrown away. */
  played: number;
  useless: number;
}

export class StatementSearch {
  state: SearchState = 'free';
  /** Statements at once that are kept now; Infinity: no limit. */
  base = Infinity;
  private comparison: Comparison | undefined;
  private remembered = Infinity;
  private slow = 0;
  private peak = 0;
  private idle = 0;
  private holdFor = shortestHold;
  private held = 0;
  private step = steps.down;
  private meanMs = 0;
  private triedUp = false;

  /** The limit for the next window. */
  get limit(): number {
    const { comparison, base } = this;
    return comparison === undefined || comparison.played % 2 === 1 ? base : comparison.candidate;
  }

  /** A window has passed. @returns a change that is kept, to be told */
  next(window: WorkWindow): SettledChange | undefined {
    if (this.state === 'free') return this.watch(window);
    this.idle = window.isHoldingBack ? 0 : this.idle + 1;
    if (this.idle >= idleWindows) return this.letGo('nobody had to wait for it any more');
    return this.state === 'comparing' ? this.compare(window) : this.hold(window);
  }

  /** No limit any more. */
  letGo(why: string): SettledChange | undefined {
    const from = this.base;
    Object.assign(this, new StatementSearch());
    // The next time may be as this time: it is tried first.
    this.remembered = from;
    return from === Infinity ? undefined : { from, to: Infinity, why };
  }

  private watch({ count, latencyMs, aloneMs, running, isContaminated }: WorkWindow): undefined {
    const isSlow = count >= leastCount && latencyMs > slowedDown * aloneMs && running > leastLimit && !isContaminated;
    this.slow = isSlow ? this.slow + 1 : 0;
    this.peak = isSlow ? Math.max(this.peak, Math.ceil(running)) : 0;
    if (this.slow < slowWindows) return;
    this.base = this.peak;
    this.begin('down', this.remembered);
  }

  private begin(direction: 'down' | 'up', first = Infinity): void {
    const { base, step } = this;
    const stepped = direction === 'down' ? Math.floor(base * step) : Math.ceil(base * step);
    const candidate = direction === 'down' ? Math.min(stepped, first) : stepped;
    this.state = 'comparing';
    this.comparison = {
      direction,
      candidate: Math.max(leastLimit, candidate === base ? base + (direction === 'down' ? -1 : 1) : candidate),
      done: { candidate: 0, base: 0 },
      played: 0,
      useless: 0,
    };
  }

  private compare(window: WorkWindow): SettledChange | undefined {
    const comparison = this.comparison as Comparison;
    const { done, direction } = comparison;
    const isSmaller = (comparison.played % 2 === 0) === (direction === 'down');
    // Where the smaller number held nobody back, the load was less, and the two cannot be compared.
    const isUseless = window.count < leastCount || window.isContaminated || (isSmaller && !window.isHoldingBack);
    if (isUseless) {
      if (++comparison.useless >= 2 * pairs) this.rest();
      return undefined;
    }
    if (comparison.played++ % 2 === 0) done.candidate += window.aloneMs;
    else done.base += window.aloneMs;
    if (comparison.played % 2 === 1) return undefined;
    const ratio = done.base === 0 ? 1 : done.candidate / done.base;
    const isPlain = ratio < plainly.less || ratio > plainly.more;
    if (comparison.played < 2 * pairs && !isPlain) return undefined;
    return ratio >= (direction === 'down' ? nearlyAll : more)
      ? this.accept(comparison, ratio)
      : this.reject(comparison);
  }

  private accept({ direction, candidate }: Comparison, ratio: number): SettledChange {
    const from = this.base;
    this.base = candidate;
    this.holdFor = shortestHold;
    this.triedUp = direction === 'up' ? false : this.triedUp;
    if (direction === 'up') this.step = Math.min(steps.fastUp, this.step * steps.up);
    if (candidate > leastLimit || direction === 'up') this.begin(direction);
    else this.rest();
    const percent = Math.round(100 * ratio);
    const why = `with ${candidate} at once ${percent} % is done of what is done with ${from}`;
    return { from, to: candidate, why };
  }

  private reject({ direction }: Comparison): undefined {
    if (direction === 'down' && this.step < steps.fineDown && this.base > leastLimit + 1) {
      this.step = steps.fineDown;
      this.begin('down');
    } else if (direction === 'down' && !this.triedUp) {
      this.triedUp = true;
      this.step = steps.up;
      this.begin('up');
    } else this.rest();
  }

  private rest(): void {
    this.state = 'holding';
    this.comparison = undefined;
    this.held = 0;
    this.meanMs = 0;
  }

  private hold({ count, aloneMs, isContaminated }: WorkWindow): undefined {
    this.held++;
    if (count < leastCount || isContaminated) return;
    const meanMs = aloneMs / count;
    if (this.meanMs === 0) this.meanMs = meanMs;
    const isOtherMix = Math.max(meanMs / this.meanMs, this.meanMs / meanMs) > otherMix;
    if (isOtherMix) this.holdFor = shortestHold;
    else if (this.held < this.holdFor) return;
    else this.holdFor = Math.min(longestHold, this.holdFor * 2);
    // A new mix may want many more; otherwise a look at both sides.
    const isUp = isOtherMix || this.base <= leastLimit;
    this.triedUp = isUp;
    this.step = isOtherMix ? steps.fastUp : isUp ? steps.up : steps.fineDown;
    this.begin(isUp ? 'up' : 'down');
  }
}
