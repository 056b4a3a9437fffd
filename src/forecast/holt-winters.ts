/**
 * Exponential smoothing with a trend and an additive season: Holt (1957), Winters (1960), in the component form of Hyndman and
 * Athanasopoulos, Forecasting: Principles and Practice, 3rd edition, 8.3. The season is one day. Also how well it has predicted
 * so far. Pure arithmetic; pool-forecast.ts has one for working days and one for weekends.
 */
import { bucketsPerDay } from './buckets.ts';
import type { ModelState } from './types.ts';

/** Weights of the last observation in the level, the trend and the season. */
const alpha = 0.3;
const beta = 0.01;
const gamma = 0.2;
/** Errors are averaged over about a season. */
const errorWeight = 1 / bucketsPerDay;
/** The trend is not continued further than that, for example over a weekend. */
const longestTrend = 13;
/** Of a normal distribution, nine values of ten are below 1.28 standard deviations, or 1.6 mean absolute deviations. */
const nineOfTen = 1.6;

export class HoltWinters {
  private level: number | undefined;
  private trend = 0;
  private season: (number | null)[] = new Array<null>(bucketsPerDay).fill(null);
  private updates = 0;
  private lastBucket = 0;
  /** Sums of errors an hour ahead and of the demand, and the mean error of five minutes ahead; older ones weigh less. */
  private errors = 0;
  private totals = 0;
  private spread = 0;

  constructor(state?: ModelState) {
    if (state === undefined) return;
    this.level = state.level;
    this.trend = state.trend;
    this.season = [...state.season];
    this.updates = state.updates;
    this.lastBucket = state.lastBucket;
    this.errors = state.errors;
    this.totals = state.totals;
    this.spread = state.spread;
  }

  state(): ModelState {
    const { level, trend, season, updates, lastBucket, errors, totals, spread } = this;
    return { level, trend, season: [...season], updates, lastBucket, errors, totals, spread };
  }

  /** The part of the two first days that was seen; 1: it can predict. */
  get learned(): number {
    const first = this.level === undefined ? this.season.filter((seen) => seen !== null).length : bucketsPerDay;
    return Math.min(1, (first + Math.min(this.updates, bucketsPerDay)) / (2 * bucketsPerDay));
  }

  /**
   * 1 less the mean error of predictions an hour ahead, relative to the mean demand, over about the last day; 0 before two whole
   * days. An hour, since the next five minutes are near to the last ones even where nothing repeats.
   */
  get confidence(): number {
    if (this.updates < bucketsPerDay) return 0;
    if (this.totals < 1e-6) return this.errors < 1e-6 ? 1 : 0;
    return Math.max(0, 1 - this.errors / this.totals);
  }

  /** Undefined: no whole day was seen. */
  predict(bucket: number, slot: number): number | undefined {
    if (this.level === undefined) return undefined;
    const steps = Math.abs(bucket - this.lastBucket);
    const trend = steps <= longestTrend ? this.trend * steps : 0;
    return Math.max(0, this.level + trend + (this.season[slot] ?? 0));
  }

  /** The same, and so much more that nine of ten times it was enough for the next five minutes. */
  predictEnough(bucket: number, slot: number): number | undefined {
    const predicted = this.predict(bucket, slot);
    return predicted === undefined ? undefined : predicted + nineOfTen * this.spread;
  }

  /** @param hourAhead what was predicted for it an hour before; undefined: nothing was */
  add(bucket: number, slot: number, demand: number, hourAhead: number | undefined): void {
    if (this.level === undefined) {
      this.begin(slot, demand);
    } else {
      const steps = Math.abs(bucket - this.lastBucket) <= longestTrend ? 1 : 0;
      const base = this.level + steps * this.trend;
      const seasonal = this.season[slot] ?? 0;
      this.note(demand, Math.max(0, base + seasonal), hourAhead);
      const level = alpha * (demand - seasonal) + (1 - alpha) * base;
      if (steps > 0) this.trend = beta * (level - this.level) + (1 - beta) * this.trend;
      this.level = level;
      this.season[slot] = gamma * (demand - base) + (1 - gamma) * seasonal;
    }
    this.lastBucket = bucket;
  }

  /** The first day, perhaps in pieces, is the first season as it is. */
  private begin(slot: number, demand: number): void {
    this.season[slot] = demand;
    if (this.season.includes(null)) return;
    const mean = this.season.reduce<number>((sum, value) => sum + (value ?? 0), 0) / bucketsPerDay;
    this.level = mean;
    this.season = this.season.map((value) => (value ?? 0) - mean);
  }

  private note(demand: number, predicted: number, hourAhead: number | undefined): void {
    const kept = 1 - errorWeight;
    this.errors = this.errors * kept + Math.abs(demand - (hourAhead ?? predicted));
    this.totals = this.totals * kept + demand;
    // The mean of what there is, until there is a whole day.
    const weight = Math.max(errorWeight, 1 / (this.updates + 1));
    this.spread = this.spread * (1 - weight) + Math.abs(demand - predicted) * weight;
    this.updates++;
  }
}
