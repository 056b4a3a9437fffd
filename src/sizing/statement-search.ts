/**
 * Looks for the smallest number of statements at once with which a pool does as much as with any more: compares two numbers in
 * turns, window by window, and keeps the smaller one if it does at least 97 % of what the larger one does. Work is counted in what
 * each statement takes alone, so that another mix of statements does not look like another speed. Called by at-once-loop.ts.
 */
import type { StateTable } from '../util/state-table.ts';
import { FoundLimits, isSameMix } from './found-limits.ts';

/** What happened in half a second. */
export interface WorkWindow {
  /** Statements that ended, and those that their clients left in the middle. */
  readonly count: number;
  readonly left: number;
  /** The time of all of them, and what those that ended would have taken alone; ms. */
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
  comparing: {
    decided: 'comparing',
    'the mix has changed': 'comparing',
    'neither is better': 'holding',
    'nobody is held back': 'free',
    'hardly anything ends': 'free',
  },
  holding: {
    'time to look again': 'comparing',
    'the mix has changed': 'comparing',
    'nobody is held back': 'free',
    'hardly anything ends': 'free',
  },
} as const satisfies StateTable<'free' | 'comparing' | 'holding', string>;

export type SearchState = keyof typeof searchStates;

/** Below this many statements a window says too little. */
const leastCount = 20;
/** Slower than alone by this factor: worth a look. */
const slowedDown = 1.5;
const slowWindows = 2;
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
/** So many windows in a row in which clients were held back, and too few statements ended: perhaps because of the limit. */
const fewWindows = 4;
/** So many windows in a row with another mix of statements. */
const otherMixWindows = 2;
/** With so many statements on each side, the smaller number must also have ended this part of the other's, or short ones starve. */
const asMany = { least: 300, part: 0.9 };

interface Comparison {
  readonly direction: 'down' | 'up';
  readonly candidate: number;
  /** Work, and statements. */
  readonly done: { candidate: number; base: number };
  readonly ended: { candidate: number; base: number };
  /** Windows played, and thrown away. */
  played: number;
  useless: number;
}

export class StatementSearch {
  state: SearchState = 'free';
  /** Statements at once that are kept now; Infinity: no limit. */
  base = Infinity;
  readonly found: FoundLimits;
  private comparison: Comparison | undefined;
  private slow = 0;
  private peak = 0;
  private idle = 0;
  private few = 0;
  private holdFor = shortestHold;
  private held = 0;
  private step = steps.down;
  /** What a statement of this mix takes alone; 0: not known yet. */
  private meanMs = 0;
  private otherMix = 0;
  private triedUp = false;
  /** Enough statements have ended while there was a limit for this mix. */
  private isOfUse = false;

  /** @param found what earlier searches of this pool have found */
  constructor(found = new FoundLimits()) {
    this.found = found;
  }

  /** The limit for the next window. */
  get limit(): number {
    const { comparison, base } = this;
    return comparison === undefined || comparison.played % 2 === 1 ? base : comparison.candidate;
  }

  /**
   * A window has passed.
   * @returns a change that is kept, to be told. One to Infinity ends the search: the next one begins with what this one has found
   */
  next(window: WorkWindow): SettledChange | undefined {
    if (this.state === 'free') return this.watch(window);
    this.idle = window.isHoldingBack ? 0 : this.idle + 1;
    if (this.idle >= idleWindows) return this.letGo('nobody had to wait for it any more');
    this.few = window.isHoldingBack && endsTooFew(window) ? this.few + 1 : 0;
    this.isOfUse ||= !endsTooFew(window);
    if (this.few >= fewWindows) return this.letGo('too few statements end to tell what it is good for');
    if (this.isOtherMix(window)) return this.follow(window.aloneMs / window.count);
    return this.state === 'comparing' ? this.compare(window) : this.hold(window);
  }

  private letGo(why: string): SettledChange {
    const from = this.base;
    // Or the first slow statements would bring it back, to be given up again two seconds later.
    if (this.isOfUse) this.keepFound();
    else this.found.forget(this.meanMs);
    this.state = 'free';
    this.base = Infinity;
    this.comparison = undefined;
    return { from, to: Infinity, why };
  }

  private keepFound(): void {
    this.found.keep({ meanMs: this.meanMs, limit: this.base, isSettled: this.state === 'holding' });
  }

  private watch(window: WorkWindow): SettledChange | undefined {
    const { count, left, latencyMs, aloneMs, running, isContaminated } = window;
    const isSlow =
      count + left >= leastCount && latencyMs > slowedDown * aloneMs && running > leastLimit && !isContaminated;
    this.slow = isSlow ? this.slow + 1 : 0;
    this.peak = isSlow ? Math.max(this.peak, Math.ceil(running)) : 0;
    if (!isSlow) return undefined;
    const meanMs = aloneMs / Math.max(1, count);
    if (this.found.of(meanMs) !== undefined) return this.follow(meanMs);
    if (this.slow < slowWindows) return undefined;
    this.base = this.peak;
    this.meanMs = meanMs;
    this.begin('down');
    return undefined;
  }

  private isOtherMix({ count, aloneMs, isContaminated }: WorkWindow): boolean {
    if (count < leastCount || isContaminated || aloneMs === 0) return false;
    const meanMs = aloneMs / count;
    if (this.meanMs === 0) this.meanMs = meanMs;
    this.otherMix = isSameMix(meanMs, this.meanMs) ? 0 : this.otherMix + 1;
    return this.otherMix >= otherMixWindows;
  }

  /** Another mix of statements: what was found for it before, or a search for more. */
  private follow(meanMs: number): SettledChange | undefined {
    const { base: from } = this;
    const known = this.found.of(meanMs);
    if (this.meanMs > 0) this.keepFound();
    this.meanMs = meanMs;
    this.isOfUse = false;
    this.otherMix = 0;
    this.holdFor = shortestHold;
    this.base = known?.limit ?? from;
    const isUp = known === undefined || known.isSettled;
    this.triedUp = isUp;
    this.step = !isUp ? steps.down : known === undefined ? steps.fastUp : steps.up;
    this.begin(isUp ? 'up' : 'down');
    if (this.base === from) return undefined;
    return { from, to: this.base, why: 'as it was found for such statements before' };
  }

  private begin(direction: 'down' | 'up'): void {
    const { base, step } = this;
    const candidate = direction === 'down' ? Math.floor(base * step) : Math.ceil(base * step);
    this.state = 'comparing';
    this.comparison = {
      direction,
      candidate: Math.max(leastLimit, candidate === base ? base + (direction === 'down' ? -1 : 1) : candidate),
      done: { candidate: 0, base: 0 },
      ended: { candidate: 0, base: 0 },
      played: 0,
      useless: 0,
    };
  }

  private compare(window: WorkWindow): SettledChange | undefined {
    const comparison = this.comparison as Comparison;
    const { done, ended, direction } = comparison;
    const isSmaller = (comparison.played % 2 === 0) === (direction === 'down');
    // Where the smaller number held nobody back, or the larger one was not used, the load was less, and the two cannot be compared.
    const isLessLoad = isSmaller ? !window.isHoldingBack : window.running < Math.min(comparison.candidate, this.base);
    const isUseless = endsTooFew(window) || window.isContaminated || isLessLoad;
    if (isUseless) {
      if (++comparison.useless >= 2 * pairs) this.rest();
      return undefined;
    }
    const side = comparison.played++ % 2 === 0 ? 'candidate' : 'base';
    done[side] += window.aloneMs;
    ended[side] += window.count;
    if (comparison.played % 2 === 1) return undefined;
    const ratio = done.base === 0 ? 1 : done.candidate / done.base;
    const isPlain = ratio < plainly.less || ratio > plainly.more;
    if (comparison.played < 2 * pairs && !isPlain) return undefined;
    const isFewer = direction === 'down' && ended.base >= asMany.least && ended.candidate < asMany.part * ended.base;
    return ratio >= (direction === 'down' ? nearlyAll : more) && !isFewer
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
  }

  private hold(window: WorkWindow): undefined {
    this.held++;
    if (endsTooFew(window) || window.isContaminated || this.held < this.holdFor) return;
    this.holdFor = Math.min(longestHold, this.holdFor * 2);
    // A look at both sides.
    const isUp = this.base <= leastLimit;
    this.triedUp = isUp;
    this.step = isUp ? steps.up : steps.fineDown;
    this.begin(isUp ? 'up' : 'down');
  }
}

const endsTooFew = ({ count, left }: WorkWindow): boolean => count + left < leastCount;
