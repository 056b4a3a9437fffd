/**
 * Averages of SHOW STATS: keeps the totals of every database at the ends of periods of 60 s (PgBouncer's stats_period),
 * so that an average is one over the last whole period. console.ts calls sample() by a timer. With several workers each
 * keeps its own, and rates add up.
 */
import { durationBoundsSeconds } from '../session/types.ts';
import type { DatabaseStats } from '../session/types.ts';
import { quantileOf } from '../util/histogram.ts';
import type { ConsoleSources } from './sources.ts';
import type { StatsPeriod, Totals } from './stats-types.ts';

export type { StatsPeriod, Totals } from './stats-types.ts';

export const statsPeriodMs = 60_000;

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

/** Averages of one period: counts and bytes per second; times per transaction, query or server assignment. */
export type Averages = Omit<Totals, 'database'>;

export interface StatsRow {
  readonly total: Totals;
  readonly average: Averages;
  readonly stats: DatabaseStats;
}

interface Sample {
  readonly atMs: number;
  readonly totals: ReadonlyMap<string, Totals>;
}

/** What SHOW STATS, STATS_TOTALS, STATS_AVERAGES and TOTALS show. */
export interface StatsView {
  rows(): StatsRow[];
  /** Over all databases. */
  sum(): { readonly total: Totals; readonly average: Averages };
}

export interface StatsWindow extends StatsView {
  /** Ends a period. */
  sample(): void;
  /** Until the first period is over: the time since the start. */
  period(): StatsPeriod;
}

type TotalsSource = Pick<ConsoleSources, 'databaseStats' | 'pools'>;

export function createStatsWindow(sources: TotalsSource, nowMs: () => number): StatsWindow {
  const read = (): Sample => ({ atMs: nowMs(), totals: readTotals(sources) });
  let older: Sample = { atMs: nowMs(), totals: new Map() };
  let newer: Sample | undefined;
  const period = (): StatsPeriod => {
    const end = newer ?? read();
    const names = new Set([...end.totals.keys(), ...older.totals.keys()]);
    const added = Array.from(names, (name) =>
      difference(end.totals.get(name) ?? zero(name), older.totals.get(name) ?? zero(name)),
    );
    return { seconds: Math.max(0.001, (end.atMs - older.atMs) / 1000), added };
  };
  const view = statsView(sources, () => [period()]);
  return {
    sample() {
      if (newer !== undefined) older = newer;
      newer = read();
    },
    period,
    rows: () => view.rows(),
    sum: () => view.sum(),
  };
}

/** @param periods one for each process */
export function statsView(sources: TotalsSource, periods: () => readonly StatsPeriod[]): StatsView {
  return {
    rows() {
      const totals = readTotals(sources);
      const all = periods();
      return [...sources.databaseStats()].map((stats) => ({
        stats,
        total: totals.get(stats.database) ?? zero(stats.database),
        average: averageOver(all, (added) => added.find(({ database }) => database === stats.database)),
      }));
    },
    sum: () => ({ total: addTotals(readTotals(sources).values()), average: averageOver(periods(), addTotals) }),
  };
}

function readTotals(sources: TotalsSource): Map<string, Totals> {
  const checkouts = new Map<string, number>();
  for (const pool of sources.pools()) {
    const stats = pool.stats();
    checkouts.set(stats.database, (checkouts.get(stats.database) ?? 0) + stats.checkouts);
  }
  const totals = new Map<string, Totals>();
  for (const stats of sources.databaseStats()) {
    totals.set(stats.database, {
      database: stats.database,
      serverAssignments: (checkouts.get(stats.database) ?? 0) + stats.replications,
      xacts: stats.xacts,
      queries: stats.queries,
      received: stats.receivedBytes,
      sent: stats.sentBytes,
      xactUs: stats.xactMs * 1000,
      queryUs: stats.serverMs * 1000,
      waitUs: stats.waitMs * 1000,
      clientParses: stats.clientParses,
      serverParses: stats.serverParses,
      binds: stats.binds,
      logins: stats.logins,
    });
  }
  return totals;
}

/** Nothing counted yet. */
export function zero(database: string): Mutable<Totals> {
  return {
    database,
    serverAssignments: 0,
    xacts: 0,
    queries: 0,
    received: 0,
    sent: 0,
    xactUs: 0,
    queryUs: 0,
    waitUs: 0,
    clientParses: 0,
    serverParses: 0,
    binds: 0,
    logins: 0,
  };
}

export function addTotals(all: Iterable<Totals>): Totals {
  const sum = zero('');
  // A worker of an older version, which a restart is about to replace, does not count them all.
  for (const one of all as Iterable<Partial<Totals>>) for (const key of counters) sum[key] += one[key] ?? 0;
  return sum;
}

const counters = [
  'serverAssignments',
  'xacts',
  'queries',
  'received',
  'sent',
  'xactUs',
  'queryUs',
  'waitUs',
  'clientParses',
  'serverParses',
  'binds',
  'logins',
] as const;

function difference(end: Totals, start: Totals): Totals {
  const added: Mutable<Totals> = { ...end };
  for (const key of counters) added[key] -= start[key];
  return added;
}

/** @param of what was added in one period, over the databases concerned */
function averageOver(periods: readonly StatsPeriod[], of: (added: readonly Totals[]) => Totals | undefined): Averages {
  const parts = periods.map(({ seconds, added }) => ({ seconds, added: of(added) ?? zero('') }));
  type Counted = Exclude<keyof Averages, 'xactUs' | 'queryUs' | 'waitUs'>;
  const perSecond = (key: Counted): number =>
    parts.reduce((sum, { seconds, added }) => sum + Math.max(0, (added as Partial<Totals>)[key] ?? 0) / seconds, 0);
  const all = addTotals(parts.map(({ added }) => added));
  const per = (time: number, events: number): number => (events > 0 ? Math.max(0, time) / events : 0);
  return {
    serverAssignments: perSecond('serverAssignments'),
    xacts: perSecond('xacts'),
    queries: perSecond('queries'),
    received: perSecond('received'),
    sent: perSecond('sent'),
    xactUs: per(all.xactUs, all.xacts),
    queryUs: per(all.queryUs, all.queries),
    waitUs: per(all.waitUs, all.serverAssignments),
    clientParses: perSecond('clientParses'),
    serverParses: perSecond('serverParses'),
    binds: perSecond('binds'),
    logins: perSecond('logins'),
  };
}

/**
 * Estimates a quantile of query durations over all routes, by linear interpolation in the histogram.
 * @param quantile from 0 to 1
 * @returns microseconds; null before the first query
 */
export function durationQuantileUs(stats: DatabaseStats, quantile: number): number | null {
  const counts = new Array<number>(durationBoundsSeconds.length + 1).fill(0);
  for (const route of stats.durations)
    for (let i = 0; i < counts.length; i++) counts[i] = (counts[i] ?? 0) + (route[i] ?? 0);
  const seconds = quantileOf(durationBoundsSeconds, counts, quantile);
  return seconds === undefined ? null : seconds * 1e6;
}
