/** How fast each database is: of the last ten seconds, from the totals of two snapshots. Kept only while somebody looks. */
import { durationBoundsSeconds, type DatabaseStats } from '../../session/types.ts';
import { byRoute, type ByRoute } from '../../util/by-route.ts';
import { totalOf } from '../../util/histogram.ts';
import { quantileMs, rounded } from './points.ts';
import type { Traffic } from './types.ts';

interface Totals extends ByRoute {
  readonly unserved: number;
  readonly counts: Float64Array;
}

interface Reading {
  readonly atMs: number;
  readonly databases: ReadonlyMap<string, Totals>;
}

const windowMs = 10_000;

export class Rates {
  private readings: Reading[] = [];

  note(databases: Iterable<DatabaseStats>, atMs: number): void {
    // Nobody has looked for a while.
    if (atMs - (this.readings.at(-1)?.atMs ?? atMs) > windowMs) this.readings = [];
    this.readings = this.readings.filter((reading) => atMs - reading.atMs <= windowMs);
    this.readings.push({
      atMs,
      databases: new Map(Array.from(databases, (stats) => [stats.database, totalsOf(stats)])),
    });
  }

  /** null: it was not seen for long enough. */
  of(database: string): Traffic | null {
    const now = this.readings.at(-1);
    const to = now?.databases.get(database);
    const before = this.readings.find((reading) => reading !== now && reading.databases.has(database));
    const from = before?.databases.get(database);
    if (now === undefined || before === undefined || to === undefined || from === undefined) return null;
    return traffic(from, to, (now.atMs - before.atMs) / 1000);
  }
}

function totalsOf(stats: DatabaseStats): Totals {
  const counts = new Float64Array(durationBoundsSeconds.length + 1);
  for (const each of stats.durations) each.forEach((count, i) => (counts[i] = (counts[i] as number) + count));
  return { ...byRoute(stats.byLabel), unserved: stats.unserved, counts };
}

/** A worker that went out of sight may have taken its counts along for a moment. */
const grown = (from = 0, to = 0): number => Math.max(0, to - from);

function traffic(from: Totals, to: Totals, seconds: number): Traffic | null {
  if (seconds <= 0) return null;
  const per = (a: number | undefined, b: number | undefined): number => rounded(grown(a, b) / seconds);
  const counts = to.counts.map((count, i) => grown(from.counts[i], count));
  const quantile = (share: number): number | null => quantileMs(durationBoundsSeconds, counts, share);
  return {
    queries: rounded(totalOf(counts) / seconds),
    primary: per(from.primary, to.primary),
    replica: per(from.replica, to.replica),
    cache: per(from.cache, to.cache),
    errors: per(from.errors, to.errors),
    unserved: per(from.unserved, to.unserved),
    p50: quantile(0.5),
    p95: quantile(0.95),
    p99: quantile(0.99),
  };
}
