/**
 * The contents of the state file of forecasts: JSON with a version and a checksum. Reading checks every field, since the file
 * may be anything. Pure; state-file.ts reads and writes it.
 */
import { createHash } from 'node:crypto';
import { bucketsPerDay } from './buckets.ts';
import { mostPools } from './forecaster.ts';
import type { ModelState, PoolForecastState } from './types.ts';

const format = 'weir-forecast';
const version = 1;
/** Between the clocks of two starts. */
const toleratedMs = 10 * 60_000;
const longestName = 1_000;
const largestNumber = 1e9;

export type Decoded = { readonly pools: readonly PoolForecastState[] } | { readonly problem: string };

export function encodeState(pools: readonly PoolForecastState[], savedAtMs: number): string {
  const rows = pools.map((pool) => ({ ...pool, workdays: rounded(pool.workdays), weekends: rounded(pool.weekends) }));
  const text = JSON.stringify(rows);
  const head = JSON.stringify({ format, version, savedAtMs, sha256: checksum(text) });
  return `${head.slice(0, -1)},"pools":${text}}\n`;
}

function rounded(model: ModelState): ModelState {
  const round = (value: number): number => Math.round(value * 1000) / 1000;
  const season = model.season.map((value) => (value === null ? null : round(value)));
  const { level, trend, errors, totals, spread } = model;
  return {
    ...model,
    level: level === undefined ? undefined : round(level),
    // The trend is small.
    trend: Math.round(trend * 1e6) / 1e6,
    season,
    errors: round(errors),
    totals: round(totals),
    spread: round(spread),
  };
}

const checksum = (text: string): string => createHash('sha256').update(text).digest('hex');

/** @param nowMs epoch ms */
export function decodeState(text: string, nowMs: number): Decoded {
  let file: unknown;
  try {
    file = JSON.parse(text);
  } catch {
    return { problem: 'it is not JSON' };
  }
  if (!isObject(file) || file['format'] !== format) return { problem: 'it is not a file of forecasts' };
  if (file['version'] !== version) return { problem: `its version is ${shown(file['version'])}, not ${version}` };
  const { pools, savedAtMs, sha256 } = file;
  if (!Array.isArray(pools) || checksum(JSON.stringify(pools)) !== sha256)
    return { problem: 'its checksum does not match' };
  if (!isNumber(savedAtMs) || savedAtMs < 0) return { problem: 'it does not say when it was written' };
  if (savedAtMs > nowMs + toleratedMs) {
    const when = savedAtMs < 8.64e15 ? new Date(savedAtMs).toISOString() : 'long after now';
    return { problem: `it is from the future (${when})` };
  }
  if (pools.length > mostPools || !pools.every(isPool)) return { problem: 'it has a pool that is not complete' };
  return { pools: pools.map(restored) };
}

/** JSON has no undefined: a model without a level has no such field. */
function restored(pool: PoolForecastState): PoolForecastState {
  const model = (state: ModelState): ModelState => ({ ...state, level: state.level });
  const { database, user, node, seenAtMs, workdays, weekends } = pool;
  return { database, user, node, seenAtMs, workdays: model(workdays), weekends: model(weekends) };
}

function isPool(value: unknown): value is PoolForecastState {
  if (!isObject(value)) return false;
  const { database, user, node, seenAtMs, workdays, weekends } = value;
  return [database, user, node].every(isName) && isTime(seenAtMs) && isModel(workdays) && isModel(weekends);
}

function isModel(value: unknown): boolean {
  if (!isObject(value)) return false;
  const { level, trend, season, updates, lastBucket, errors, totals, spread } = value;
  if (!Array.isArray(season) || season.length !== bucketsPerDay) return false;
  if (level !== undefined && (!isNumber(level) || season.includes(null))) return false;
  if (!season.every((slot) => slot === null || isNumber(slot))) return false;
  return isNumber(trend) && [updates, lastBucket, errors, totals, spread].every((each) => isNumber(each) && each >= 0);
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isNumber = (value: unknown): value is number =>
  typeof value === 'number' && Number.isFinite(value) && Math.abs(value) < Math.max(largestNumber, 8.64e15);
const isTime = (value: unknown): boolean => isNumber(value) && value >= 0;
const isName = (value: unknown): boolean => typeof value === 'string' && value.length <= longestName;

function shown(value: unknown): string {
  return typeof value === 'number' || typeof value === 'string' ? String(value).slice(0, 20) : 'not given';
}
