/**
 * The forecast of one pool: a model of working days and one of weekends, and what was predicted an hour before. Used by
 * forecaster.ts.
 */
import { bucketsPerDay, dayKindOf, slotOf, type DayKind } from './buckets.ts';
import { HoltWinters } from './holt-winters.ts';
import type { ForecastedPool, PoolForecastState } from './types.ts';

const bucketsPerHour = 12;
const bucketsPerHalfHour = 6;

export interface Expected {
  readonly bucket: number;
  /** As a rule at most. */
  readonly connections: number;
  readonly confidence: number;
}

export class PoolForecast {
  readonly pool: ForecastedPool;
  seenAtMs: number;
  private readonly models: Readonly<Record<DayKind, HoltWinters>>;
  private readonly hourAhead = new Map<number, { readonly bucket: number; readonly connections: number }>();

  constructor(pool: ForecastedPool, seenAtMs: number, state?: PoolForecastState) {
    this.pool = pool;
    this.seenAtMs = seenAtMs;
    this.models = { workdays: new HoltWinters(state?.workdays), weekends: new HoltWinters(state?.weekends) };
  }

  state(): PoolForecastState {
    const { database, user, node } = this.pool;
    const { workdays, weekends } = this.models;
    return { database, user, node, seenAtMs: this.seenAtMs, workdays: workdays.state(), weekends: weekends.state() };
  }

  /** The most connections that were needed at once in those five minutes. */
  add(bucket: number, demand: number): void {
    const place = bucket % bucketsPerHour;
    const said = this.hourAhead.get(place);
    this.models[dayKindOf(bucket)].add(
      bucket,
      slotOf(bucket),
      demand,
      said?.bucket === bucket ? said.connections : undefined,
    );
    const later = bucket + bucketsPerHour;
    const connections = this.models[dayKindOf(later)].predict(later, slotOf(later));
    if (connections !== undefined) this.hourAhead.set(place, { bucket: later, connections });
  }

  /** Undefined: no whole day of its kind was seen. */
  expect(bucket: number): Expected | undefined {
    const model = this.models[dayKindOf(bucket)];
    const enough = model.predictEnough(bucket, slotOf(bucket));
    if (enough === undefined) return undefined;
    // Not one more for what is only a matter of rounding.
    return { bucket, connections: Math.max(0, Math.ceil(enough - 0.05)), confidence: model.confidence };
  }

  /** The part of two days of the kind of that one that was seen. */
  learned(bucket: number): number {
    return this.models[dayKindOf(bucket)].learned;
  }

  /** What each half hour of the next 24 hours needs; empty: not all of it is known. */
  day(from: number): readonly number[] {
    const halfHours: number[] = [];
    for (let bucket = from; bucket < from + bucketsPerDay; bucket++) {
      const expected = this.expect(bucket);
      if (expected === undefined) return [];
      const at = Math.floor((bucket - from) / bucketsPerHalfHour);
      halfHours[at] = Math.max(halfHours[at] ?? 0, expected.connections);
    }
    return halfHours;
  }
}
