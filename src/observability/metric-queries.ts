/**
 * Metrics of statements, transactions and their bytes. Dashboards and alerts of users depend on the names and labels:
 * a change needs a line in the CHANGELOG. No label has SQL text; label-limiter.ts bounds databases. Called by
 * metrics.ts.
 */
import type { Registry } from 'prom-client';
import { durationBoundsSeconds, durationPlaces } from '../session/types.ts';
import type { CacheLabel, DatabaseStats, ResultLabel, RouteLabel } from '../session/types.ts';
import { createLabelLimiter, type LabelLimiter } from './label-limiter.ts';
import { pulled, pulledHistogram, summed } from './pulled-metric.ts';
import type { HistogramSample, Sample } from './pulled-metric.ts';
import type { StatsSources } from './types.ts';

const routes: readonly RouteLabel[] = ['primary', 'replica', 'cache', 'none'];
const cacheLabels: readonly CacheLabel[] = ['hit', 'miss', 'off'];
const results: readonly ResultLabel[] = ['ok', 'error'];

/** A counter of each database. */
interface DatabaseCounter {
  readonly name: string;
  readonly help: string;
  readonly value: (stats: DatabaseStats) => number;
}

const databaseCounters: readonly DatabaseCounter[] = [
  {
    name: 'weir_misroutes_total',
    help: 'Statements taken for reads that a replica refused (25006)',
    value: (stats) => stats.misroutes,
  },
  {
    name: 'weir_recovery_conflicts_total',
    help: 'Reads that a replica cancelled in favour of its replay; they ran again',
    value: (stats) => stats.recoveryConflicts,
  },
  {
    name: 'weir_unserved_total',
    help: 'Statements that failed because the server or Weir could not serve them',
    value: (stats) => stats.unserved,
  },
  {
    name: 'weir_ignored_hints_total',
    help: 'Statements whose hint had a word that was ignored, because it is unknown or its value is not allowed',
    value: (stats) => stats.ignoredHints,
  },
  { name: 'weir_transactions_total', help: 'Transactions', value: (stats) => stats.xacts },
  { name: 'weir_received_bytes_total', help: 'Bytes from clients', value: (stats) => stats.receivedBytes },
  { name: 'weir_sent_bytes_total', help: 'Bytes to clients', value: (stats) => stats.sentBytes },
];

export function registerQueries(registry: Registry, sources: StatsSources): void {
  const limiter = createLabelLimiter();
  pulled(
    registry,
    'counter',
    'weir_queries_total',
    'Statements by where they were answered, what the cache said and how they ended',
    () => summed(Array.from(sources.databaseStats()).flatMap((stats) => queriesOf(stats, limiter))),
  );
  pulledHistogram(
    registry,
    'weir_query_duration_seconds',
    "Time from a statement's arrival to the end of its answer",
    function* () {
      for (const stats of sources.databaseStats()) {
        for (const [index, { route }] of durationPlaces.entries()) {
          const sample = durationSample(stats.durations[index], stats.durationSums[index]);
          if (sample.count > 0) yield { labels: { ...limiter.one(stats.database), route }, ...sample };
        }
      }
    },
  );
  for (const { name, help, value } of databaseCounters) {
    pulled(registry, 'counter', name, help, () =>
      summed(
        Array.from(sources.databaseStats(), (stats) => ({ labels: limiter.one(stats.database), value: value(stats) })),
      ),
    );
  }
}

function queriesOf({ database, byLabel }: DatabaseStats, limiter: LabelLimiter): Sample[] {
  const samples: Sample[] = [];
  routes.forEach((route, r) =>
    cacheLabels.forEach((cache, c) =>
      results.forEach((result, k) => {
        const value = byLabel[r * 6 + c * 2 + k] ?? 0;
        if (value > 0) samples.push({ labels: { ...limiter.one(database), route, cache, result }, value });
      }),
    ),
  );
  return samples;
}

/** Makes cumulative counts of plain ones. The last plain count is of durations above every bound. */
function durationSample(counts: Float64Array | undefined, sum: number | undefined): Omit<HistogramSample, 'labels'> {
  let count = 0;
  const cumulative = durationBoundsSeconds.map((_bound, index) => (count += counts?.[index] ?? 0));
  count += counts?.[durationBoundsSeconds.length] ?? 0;
  return { boundsSeconds: durationBoundsSeconds, counts: cumulative, sum: sum ?? 0, count };
}
