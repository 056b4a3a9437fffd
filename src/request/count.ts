/**
 * Counts an answered request in the statistics of its database: plain fields, read at a scrape. Called once per
 * request.
 */
import type { Session } from '../session/session.ts';
import { durationBoundsSeconds, durationPlaces, type DatabaseStats } from '../session/types.ts';
import type { Request } from '../session/request.ts';

const routeIndex = { primary: 0, replica: 1, cache: 2, none: 3 } as const;
/** Place in durationPlaces of what provably only reads on the primary; the other places are those of the routes. */
const primaryReads = 4;
const cacheIndex = { hit: 0, miss: 1, off: 2 } as const;

export function newDatabaseStats(database: string): DatabaseStats {
  const histogram = (): Float64Array => new Float64Array(durationBoundsSeconds.length + 1);
  return {
    database,
    xacts: 0,
    queries: 0,
    receivedBytes: 0,
    sentBytes: 0,
    xactMs: 0,
    queryMs: 0,
    waitMs: 0,
    misroutes: 0,
    unserved: 0,
    recoveryConflicts: 0,
    replications: 0,
    clientParses: 0,
    serverParses: 0,
    binds: 0,
    byLabel: new Float64Array(24),
    durations: durationPlaces.map(histogram),
    durationSums: new Float64Array(durationPlaces.length),
  };
}

function bump(counts: Float64Array, index: number, by = 1): void {
  counts[index] = (counts[index] as number) + by;
}

/** @param nowMs when its answer ended (monotonic ms) */
export function countAnswer(session: Session, request: Request, nowMs = session.services.nowMs()): void {
  const { stats } = session.database;
  const durationMs = nowMs - request.receivedAtMs;
  const role = request.target.node?.role;
  const route =
    request.cache.label === 'hit' ? 'cache' : role === 'replica' ? 'replica' : role === undefined ? 'none' : 'primary';
  const at = routeIndex[route];
  const { hasError } = request.attempt;
  bump(stats.byLabel, at * 6 + cacheIndex[request.cache.label] * 2 + (hasError ? 1 : 0));
  if (hasError && request.attempt.isUnserved) stats.unserved++;
  const seconds = durationMs / 1000;
  let bucket = 0;
  while (bucket < durationBoundsSeconds.length && seconds > (durationBoundsSeconds[bucket] as number)) bucket++;
  const place = at === routeIndex.primary && request.planned.isRead ? primaryReads : at;
  bump(stats.durations[place] as Float64Array, bucket);
  bump(stats.durationSums, place, seconds);
  stats.queries++;
  stats.queryMs += durationMs;
  if (request.attempt.sentAtMs > 0) stats.waitMs += request.attempt.sentAtMs - request.receivedAtMs;
  session.wasActive(nowMs);
}

/** Requests whose answer cannot be told because their connection ends. They are not in `queries`. */
export function countCutOff(session: Session, requests: number, isUnserved: boolean): void {
  if (isUnserved) session.database.stats.unserved += requests;
}
