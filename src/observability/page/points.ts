/** Makes the points of the charts, and the figures of the last ten seconds, of what was noted (noted.ts). Pure. */
import { waitBoundsSeconds } from '../../pool/types.ts';
import { durationBoundsSeconds } from '../../session/types.ts';
import { quantileOf, totalOf } from '../../util/histogram.ts';
import type { Slot } from './slot-types.ts';
import { addTo, indexOf, latencyOf, rowLength, slotMs, waitsOf, type Noted } from './noted.ts';
import type { Points, Traffic } from './types.ts';

const perSecond = 1000 / slotMs;

/** Four digits are more than anybody sees. */
export const rounded = (value: number): number => (value === 0 ? 0 : Number(value.toPrecision(4)));

export function quantileMs(bounds: readonly number[], counts: Float64Array, quantile: number): number | null {
  const seconds = quantileOf(bounds, counts, quantile);
  return seconds === undefined ? null : rounded(seconds * 1000);
}

const latency = (quantile: number) => (row: Float64Array) =>
  quantileMs(durationBoundsSeconds, latencyOf(row), quantile);
const wait = (quantile: number) => (row: Float64Array) => quantileMs(waitBoundsSeconds, waitsOf(row), quantile);
const rate = (name: Noted) => (row: Float64Array) => rounded((row[indexOf(name)] as number) * perSecond);
const gauge = (name: Noted) => (row: Float64Array) => rounded(row[indexOf(name)] as number);

type Column = Exclude<keyof Points, 'atMs'>;

const columns: Readonly<Record<Column, (row: Float64Array) => number | null>> = {
  p50: latency(0.5),
  p95: latency(0.95),
  p99: latency(0.99),
  primary: rate('primary'),
  replica: rate('replica'),
  cache: rate('cache'),
  errors: rate('errors'),
  unserved: rate('unserved'),
  waitP50: wait(0.5),
  waitP95: wait(0.95),
  waitP99: wait(0.99),
  waits: (row) => rounded(totalOf(waitsOf(row)) * perSecond),
  longestWait: gauge('longestWaitMs'),
  waiting: gauge('waiting'),
  active: gauge('active'),
  open: gauge('open'),
  limit: gauge('limit'),
  clients: gauge('clients'),
  lag(row) {
    const lagMs = row[indexOf('lagMs')] as number;
    return lagMs < 0 ? null : rounded(lagMs);
  },
  hitRate(row) {
    const [hits, misses] = [row[indexOf('hits')] as number, row[indexOf('misses')] as number];
    return hits + misses === 0 ? null : rounded(hits / (hits + misses));
  },
};

export function pointsOf(slots: readonly Slot[]): Points {
  const points = { atMs: slots.map(({ slot }) => slot * slotMs) } as Record<keyof Points, (number | null)[]>;
  for (const [name, read] of Object.entries(columns) as [Column, (row: Float64Array) => number | null][])
    points[name] = slots.map(({ row }) => read(row));
  return points as unknown as Points;
}

const trafficSlots = 5;

/** @param slots that were just noted; null: nothing was noted yet */
export function trafficOf(slots: readonly Slot[]): Traffic | null {
  const recent = slots.slice(-trafficSlots);
  if (recent.length === 0) return null;
  const sum = new Float64Array(rowLength);
  for (const { row } of recent) addTo(sum, row);
  const per = (name: Noted): number => rounded(((sum[indexOf(name)] as number) * perSecond) / recent.length);
  const counts = latencyOf(sum);
  return {
    queries: rounded((totalOf(counts) * perSecond) / recent.length),
    primary: per('primary'),
    replica: per('replica'),
    cache: per('cache'),
    errors: per('errors'),
    unserved: per('unserved'),
    p50: quantileMs(durationBoundsSeconds, counts, 0.5),
    p95: quantileMs(durationBoundsSeconds, counts, 0.95),
    p99: quantileMs(durationBoundsSeconds, counts, 0.99),
  };
}
