/**
 * Looks for the smallest number of statements at once with which a pool does as much as with any more: compares two numbers in
 * turns, window by window, and keeps the smaller one if it does at least 97 % of what the larger one does. Work is counted in what
 * each statement takes alone, so that another mix of statements does not look like another speed. Called by at-once-loop.ts.
 */
import { StatementMix } from '../pool/statement-mix.ts';
import type { StateTable } from '../util/state-table.ts';
import { FoundLimits } from './found-limits.ts';

/** What happened in half a second. */
export interface WorkWindow {
  /** Statements that ended, and those that their clients left in the middle. */
  readonly count: number;
  readonly left: number;
  /** The time of all of them, and what those that ended would have taken alone; ms. */
  readonly latencyMs: number;
  readonly aloneMs: number;
  readonly mix: StatementMix;
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
const plainly = { less: 0.85, more: 1.05, muchMore: 1.12 };
/** Beyond what the numbers allow, by this factor: chance does not explain it. */
const implausible = 1.1;
/** Statements at once, on average, of what the limit allows, while clients wait all the time. */
const nearlyFull = 0.8;
const pairs = 3;
const leastLimit = 2;
const steps = { fastDown: 0.5, down: 0.7, fineDown: 0.85, up: 1.25, fastUp: 2 };
const shortestHold = 10;
const longestHold = 120;
/** So many windows without anybody held back: the load is gone. */
const idleWindows = 120;
/** So many windows in a row in which clients were held back, and too few statements ended: perhaps because of the limit. */
const fewWindows = 4;
/** So many windows in a row with another mix of statements. */
const otherMixWindows = 2;
/** With so many statements on each side, the smaller number must also have ended this part of the other's, or short ones starve. */
const asMany = { least: 300, part: 0.9 };

interface Comparison {
  readonly direction: 'down' | 'up';
  readonly candidate: number;
  readonly done: { candidate: StatementMix; base: StatementMix };
  /** How many statements. */
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
  /** Of the statements for which the limit is looked for; undefined: not known yet. */
  private mix: StatementMix | undefined;
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
    if (this.isOtherMix(window)) return this.follow(window.mix);
    return this.state === 'comparing' ? this.compare(window) : this.hold(window);
  }

  private letGo(why: string): SettledChange {
    const from = this.base;
    // Or the first slow statements would bring it back, to be given up again two seconds later.
    if (this.isOfUse) this.keepFound();
    else if (this.mix !== undefined) this.found.forget(this.mix);
    this.state = 'free';
    this.base = Infinity;
    this.comparison = undefined;
    return { from, to: Infinity, why };
  }

  private keepFound(): void {
    if (this.mix !== undefined)
      this.found.keep({ mix: this.mix, limit: this.base, isSettled: this.state === 'holding' });
  }

  private watch(window: WorkWindow): SettledChange | undefined {
    const { count, left, latencyMs, aloneMs, mix, running, isContaminated } = window;
    const isSlow =
      count + left >= leastCount && latencyMs > slowedDown * aloneMs && running > leastLimit && !isContaminated;
    this.slow = isSlow ? this.slow + 1 : 0;
    this.peak = isSlow ? Math.max(this.peak, Math.ceil(running)) : 0;
    if (!isSlow) return undefined;
    if (this.found.of(mix) !== undefined) return this.follow(mix);
    if (this.slow < slowWindows) return undefined;
    this.base = this.peak;
    this.mix = count < leastCount ? undefined : mix;
    this.begin('down');
    return undefined;
  }

  private isOtherMix({ count, mix, isContaminated }: WorkWindow): boolean {
    if (count < leastCount || isContaminated) return false;
    this.mix ??= mix;
    this.otherMix = mix.isLike(this.mix) ? 0 : this.otherMix + 1;
    return this.otherMix >= otherMixWindows;
  }

  /** Another mix of statements: what was found for it before, or a search for more. */
  private follow(mix: StatementMix): SettledChange | undefined {
    const { base: from } = this;
    const known = this.found.of(mix);
    this.keepFound();
    this.mix = mix;
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

  private begin(direction: 'down' | 'up', useless = 0): void {
    const { base, step } = this;
    const candidate = direction === 'down' ? Math.round(base * step) : Math.ceil(base * step);
    this.state = 'comparing';
    this.comparison = {
      direction,
      candidate: Math.max(leastLimit, candidate === base ? base + (direction === 'down' ? -1 : 1) : candidate),
      done: { candidate: new StatementMix(), base: new StatementMix() },
      ended: { candidate: 0, base: 0 },
      played: 0,
      useless,
    };
  }

  private compare(window: WorkWindow): SettledChange | undefined {
    const comparison = this.comparison as Comparison;
    const { done, ended, direction } = comparison;
    const isSmaller = (comparison.played % 2 === 0) === (direction === 'down');
    // Where the smaller number did not hold clients back all the time, or the larger one was not used, the load was less, and the
    // two cannot be compared.
    const smaller = Math.min(comparison.candidate, this.base);
    const isLessLoad = (isSmaller && !window.isHoldingBack) || window.running < (isSmaller ? nearlyFull : 1) * smaller;
    const isUseless = endsTooFew(window) || window.isContaminated || isLessLoad;
    if (isUseless) {
      // While nobody is held back, the load is away: the comparison goes on when it is back.
      if (window.isHoldingBack && ++comparison.useless >= 2 * pairs) this.rest();
      return undefined;
    }
    const side = comparison.played++ % 2 === 0 ? 'candidate' : 'base';
    done[side].addAll(window.mix);
    ended[side] += window.count;
    if (comparison.played % 2 === 1) return undefined;
    const ratio = done.candidate.partOf(done.base);
    if (isImplausible(ratio, comparison.candidate / this.base)) return this.again(comparison);
    const isPlain = ratio < plainly.less || ratio > (direction === 'down' ? plainly.more : plainly.muchMore);
    if (comparison.played < 2 * pairs && !isPlain) return undefined;
    const isFewer = direction === 'down' && ended.base >= asMany.least && ended.candidate < asMany.part * ended.base;
    return ratio >= (direction === 'down' ? nearlyAll : more) && !isFewer
      ? this.accept(comparison, ratio)
      : this.reject(comparison);
  }

  /** The load was not the same in both windows. */
  private again({ direction, useless }: Comparison): undefined {
    this.begin(direction, useless + 2);
    if (useless + 2 >= 2 * pairs) this.rest();
  }

  private accept({ direction, candidate }: Comparison, ratio: number): SettledChange {
    const from = this.base;
    this.base = candidate;
    this.holdFor = shortestHold;
    this.triedUp = direction === 'up' ? false : this.triedUp;
    if (direction === 'up') this.step = Math.min(steps.fastUp, this.step * steps.up);
    else if (this.step <= steps.down) this.step = ratio > plainly.more ? steps.fastDown : steps.down;
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
    if (!window.isHoldingBack || endsTooFew(window) || window.isContaminated || this.held < this.holdFor) return;
    this.holdFor = Math.min(longestHold, this.holdFor * 2);
    // A look at both sides.
    const isUp = this.base <= leastLimit;
    this.triedUp = isUp;
    this.step = isUp ? steps.up : steps.fineDown;
    this.begin(isUp ? 'up' : 'down');
  }
}

/** With twice as many statements at once, at most twice as much is done, and with half as many at least half as much. */
const isImplausible = (done: number, atOnce: number): boolean =>
  atOnce > 1 ? done > atOnce * implausible : done * implausible < atOnce;

const endsTooFew = ({ count, left }: WorkWindow): boolean => count + left < leastCount;
