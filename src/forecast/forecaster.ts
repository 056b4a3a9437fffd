/**
 * The forecasts of all pools: hears what each needs twice a second, learns from each five minutes, and says what each will need.
 * Knows no clock of its own, no file and no log: forecasting.ts has those.
 */
import type { PoolStats } from '../pool/types.ts';
import type { Prediction } from '../sizing/types.ts';
import { bucketAt, Buckets, bucketMs, dayKindOf, timeOf, type Moment, type Passed } from './buckets.ts';
import { PoolForecast, type Expected } from './pool-forecast.ts';
import type { ForecastedPool, ForecastFigures, PoolForecastState } from './types.ts';

/** Clients may choose the names of pools: those seen last are kept. */
export const mostPools = 1_000;
const forgetAfterMs = 14 * 24 * 3_600_000;
/** Nothing is forgotten before the clock has gone on for so long without a jump: it may be wrong until then. */
const trustAfterMs = 3_600_000;
/** So many of SHOW FORECAST have a plot of the next day. */
const mostPlots = 20;

export interface Bounds {
  /** From this confidence on, a pool is warmed. */
  readonly confidence: number;
  readonly aheadMs: number;
}

/** A pool that there is in this Weir. */
interface Seen {
  readonly pool: ForecastedPool;
  /** Connections that it needs now; -1: not seen yet in these five minutes. And the most in them. */
  now: number;
  peak: number;
  warmed: number;
}

const keyOf = ({ database, user, node }: ForecastedPool): string => `${database}\0${user}\0${node}`;

export class Forecaster {
  private readonly buckets = new Buckets();
  private readonly forecasts = new Map<string, PoolForecast>();
  private readonly seen = new Map<string, Seen>();
  private epochMs = 0;
  /** Since when the clock has not jumped; monotonic. */
  private trustedSinceMs: number | undefined;

  constructor(states: readonly PoolForecastState[] = []) {
    for (const state of states) this.forecasts.set(keyOf(state), new PoolForecast(state, state.seenAtMs, state));
  }

  /** Call it before the figures of this moment. */
  pass(moment: Moment): Passed {
    const passed = this.buckets.pass(moment);
    this.epochMs = moment.epochMs;
    const { complete, jumpMs } = passed;
    if (jumpMs !== 0) this.trustedSinceMs = undefined;
    this.trustedSinceMs ??= moment.nowMs;
    for (const [key, seen] of this.seen) {
      if (complete !== undefined && seen.now >= 0) this.learn(key, seen, complete);
      if (passed.isOver || jumpMs !== 0) seen.peak = 0;
    }
    if (passed.isOver) this.forgetClosed();
    if (passed.isOver && moment.nowMs - this.trustedSinceMs >= trustAfterMs) this.forgetUnused();
    return passed;
  }

  private learn(key: string, { pool, peak }: Seen, bucket: number): void {
    let forecast = this.forecasts.get(key);
    if (forecast === undefined) {
      // Perhaps nobody ever logs in to it.
      if (peak === 0 || !this.makeRoom()) return;
      this.forecasts.set(key, (forecast = new PoolForecast(pool, this.epochMs)));
    }
    forecast.seenAtMs = this.epochMs;
    forecast.add(bucket, peak);
  }

  /** False: there are too many pools in use. */
  private makeRoom(): boolean {
    if (this.forecasts.size < mostPools) return true;
    for (const key of this.forecasts.keys()) {
      if (!this.seen.has(key)) return this.forecasts.delete(key);
    }
    return false;
  }

  private forgetClosed(): void {
    for (const [key, seen] of this.seen) {
      if (seen.now < 0) this.seen.delete(key);
      else seen.now = -1;
    }
  }

  /** Pools that nobody has used for two weeks. */
  private forgetUnused(): void {
    for (const [key, { seenAtMs }] of this.forecasts) {
      if (this.epochMs - seenAtMs > forgetAfterMs) this.forecasts.delete(key);
    }
  }

  observe(stats: PoolStats, load: number): void {
    const seen = this.seenOf(stats);
    seen.now = load;
    seen.peak = Math.max(seen.peak, load);
  }

  private seenOf(stats: PoolStats): Seen {
    const key = keyOf(stats);
    let seen = this.seen.get(key);
    if (seen === undefined) {
      const { database, user, node } = stats;
      this.seen.set(key, (seen = { pool: { database, user, node }, now: 0, peak: 0, warmed: 0 }));
    }
    return seen;
  }

  warmed(stats: PoolStats, count: number): void {
    this.seenOf(stats).warmed = count;
  }

  /** The most that it will need from now until `aheadMs` from now; undefined: too little is known. */
  predicted(pool: ForecastedPool, bounds: Bounds): Prediction | undefined {
    const expected = this.expected(pool, bounds);
    if (expected === undefined || expected.confidence < bounds.confidence) return undefined;
    return { connections: expected.connections, why: inWords(expected) };
  }

  private expected(pool: ForecastedPool, { confidence, aheadMs }: Bounds): Expected | undefined {
    const forecast = this.forecasts.get(keyOf(pool));
    if (forecast === undefined) return undefined;
    const last = bucketAt(this.epochMs + aheadMs);
    let most: Expected | undefined;
    for (let bucket = bucketAt(this.epochMs); bucket <= last; bucket++) {
      const expected = forecast.expect(bucket);
      if (expected !== undefined && (most === undefined || isMore(expected, most, confidence))) most = expected;
    }
    return most;
  }

  /** Of the pools that there are. */
  figures(bounds: Bounds): ForecastFigures[] {
    let plots = 0;
    const from = bucketAt(this.epochMs);
    return Array.from(this.seen.values(), ({ pool, now, warmed }) => {
      const forecast = this.forecasts.get(keyOf(pool));
      const expected = this.expected(pool, bounds);
      const day = forecast === undefined || plots >= mostPlots ? [] : forecast.day(from);
      if (day.length > 0) plots++;
      return {
        ...pool,
        now: Math.max(0, now),
        predicted: expected?.connections,
        atMs: (expected?.bucket ?? bucketAt(this.epochMs + bounds.aheadMs)) * bucketMs,
        confidence: expected?.confidence ?? 0,
        warmed,
        why: this.why(forecast, expected, bounds),
        day,
      };
    });
  }

  private why(forecast: PoolForecast | undefined, expected: Expected | undefined, bounds: Bounds): string {
    const bucket = expected?.bucket ?? bucketAt(this.epochMs + bounds.aheadMs);
    const learned = forecast?.learned(bucket) ?? 0;
    if (expected === undefined || learned < 1) {
      const kind = dayKindOf(bucket) === 'workdays' ? 'days from Monday to Friday' : 'days of a weekend';
      return `learns: ${Math.floor(100 * learned)} % of two ${kind} were seen`;
    }
    const words = inWords(expected);
    return expected.confidence < bounds.confidence ? `${words}, which is less than ${bounds.confidence}` : words;
  }

  state(): PoolForecastState[] {
    return Array.from(this.forecasts.values(), (forecast) => forecast.state());
  }
}

/** One that is good enough comes before one that is not. */
function isMore(a: Expected, b: Expected, confidence: number): boolean {
  const [isGood, isOtherGood] = [a.confidence >= confidence, b.confidence >= confidence];
  return isGood === isOtherGood ? a.connections > b.connections : isGood;
}

function inWords({ bucket, connections, confidence }: Expected): string {
  const rounded = Math.floor(100 * confidence) / 100;
  return `at ${timeOf(bucket)} UTC this pool usually needs ${connections} (confidence ${rounded.toFixed(2)})`;
}
