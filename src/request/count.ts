/**
 * Counts an answered request in the statistics of its database: plain fields, read at a scrape. Called once per
 * request.
 */
import type { BudgetSettings } from '../budgets/types.ts';
import { histogram } from '../session/database-stats.ts';
import type { Session } from '../session/session.ts';
import { durationBoundsSeconds, durationPlaces, type DatabaseStats, type TaggedStats } from '../session/types.ts';
import type { Request } from '../session/request.ts';
import { requestEnded } from './statement-ends.ts';

const routeIndex = { primary: 0, replica: 1, cache: 2, none: 3 } as const;
/** Place in durationPlaces of what provably only reads on the primary; the other places are those of the routes. */
const primaryReads = 4;
const cacheIndex = { hit: 0, miss: 1, off: 2 } as const;

/** Counts from now on the statements with tags that have a budget. */
export function countTags(stats: DatabaseStats, { tags = {} }: BudgetSettings): void {
  stats.tagged = Object.keys(tags).map(
    (tag) =>
      stats.tagged.find((each) => each.tag === tag) ??
      ({ tag, statements: 0, unserved: 0, reads: histogram(), writes: histogram() } satisfies TaggedStats),
  );
}

function bump(counts: Float64Array, index: number, by = 1): void {
  counts[index] = (counts[index] as number) + by;
}

/**
 * @param nowMs when its answer ended (monotonic ms)
 * @param readyAtMs when its server had answered what was before it
 */
export function countAnswer(session: Session, request: Request, nowMs = session.services.nowMs(), readyAtMs = 0): void {
  const { active } = session.services.statements;
  if (active !== undefined) requestEnded(active, session, request, nowMs, readyAtMs);
  const { stats } = session.database;
  const durationMs = nowMs - request.receivedAtMs;
  const role = request.target.node?.role;
  const route =
    request.cache.label === 'hit' ? 'cache' : role === 'replica' ? 'replica' : role === undefined ? 'none' : 'primary';
  const at = routeIndex[route];
  const { hasError } = request.attempt;
  bump(stats.byLabel, at * 6 + cacheIndex[request.cache.label] * 2 + (hasError ? 1 : 0));
  const isUnserved = hasError && request.attempt.isUnserved;
  if (isUnserved) stats.unserved++;
  const seconds = durationMs / 1000;
  let bucket = 0;
  while (bucket < durationBoundsSeconds.length && seconds > (durationBoundsSeconds[bucket] as number)) bucket++;
  const place = at === routeIndex.primary && request.planned.isRead ? primaryReads : at;
  bump(stats.durations[place] as Float64Array, bucket);
  bump(stats.durationSums, place, seconds);
  if (stats.tagged.length > 0) countTagged(taggedOf(stats, request), place, bucket, isUnserved);
  if (request.hints?.problem !== undefined) noteIgnoredHint(session, request.hints.problem);
  stats.queries++;
  stats.queryMs += durationMs;
  const { sentAtMs } = request.attempt;
  if (sentAtMs > 0) {
    stats.waitMs += sentAtMs - request.receivedAtMs;
    stats.serverMs += nowMs - sentAtMs;
  }
  session.wasActive(nowMs);
}

/** One line for the first, the tenth, the hundredth ... of a database: an application sends the same hint all the time. */
function noteIgnoredHint({ database: { stats }, services }: Session, problem: string): void {
  const count = ++stats.ignoredHints;
  if (!Number.isInteger(Math.log10(count))) return;
  const message = `part of a hint was ignored: ${problem}; the next such line comes at ${count * 10} of them`;
  services.log('warn', 'hint_ignored', message, { database: stats.database, count });
}

function countTagged(all: readonly TaggedStats[], place: number, bucket: number, isUnserved: boolean): void {
  const { isRead } = durationPlaces[place] as (typeof durationPlaces)[number];
  for (const tagged of all) {
    tagged.statements++;
    if (isUnserved) tagged.unserved++;
    // What Weir answers itself is neither.
    if (isRead !== undefined) bump(isRead ? tagged.reads : tagged.writes, bucket);
  }
}

/** Those of the tags in its hint that have a budget. */
function taggedOf({ tagged }: DatabaseStats, { hints }: Request): readonly TaggedStats[] {
  return hints === undefined ? [] : tagged.filter(({ tag }) => hints.tags.includes(tag));
}

/** Requests whose answer cannot be told because their connection ends. They are not in `queries`. */
export function countCutOff(session: Session, requests: Iterable<Request>, isUnserved: boolean): void {
  if (!isUnserved) return;
  const { stats } = session.database;
  for (const request of requests) {
    stats.unserved++;
    for (const tagged of taggedOf(stats, request)) tagged.unserved++;
  }
}
