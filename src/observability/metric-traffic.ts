/**
 * Metrics of statements, nodes and the cache. Names and labels are relied on by others: change one only with a line in
 * the CHANGELOG. No label holds SQL text; databases beyond a bound share one series.
 */
import type { Registry } from 'prom-client';
import type { CacheStats } from '../cache/types.ts';
import { durationBoundsSeconds } from '../session/types.ts';
import type { CacheLabel, DatabaseStats, ResultLabel, RouteLabel } from '../session/types.ts';
import type { NodeState } from '../topology/types.ts';
import { createLabelLimiter } from './label-limiter.ts';
import { pulled, pulledHistogram, summed } from './pulled-metric.ts';
import type { HistogramSample, Sample } from './pulled-metric.ts';
import type { StatsSources } from './types.ts';

const routes: readonly RouteLabel[] = ['primary', 'replica', 'cache', 'none'];
const cacheLabels: readonly CacheLabel[] = ['hit', 'miss', 'off'];
const results: readonly ResultLabel[] = ['ok', 'error'];

export function registerQueries(registry: Registry, sources: StatsSources): void {
  const limiter = createLabelLimiter();
  const perDatabase = (value: (stats: DatabaseStats) => number) => (): Iterable<Sample> =>
    summed(
      Array.from(sources.databaseStats(), (stats) => ({ labels: limiter.one(stats.database), value: value(stats) })),
    );

  pulled(
    registry,
    'counter',
    'weir_queries_total',
    'Statements by where they were answered, what the cache said and how they ended',
    () =>
      summed(
        Array.from(sources.databaseStats()).flatMap((stats) => {
          const samples: Sample[] = [];
          routes.forEach((route, r) =>
            cacheLabels.forEach((cache, c) =>
              results.forEach((result, k) => {
                const value = stats.byLabel[r * 6 + c * 2 + k] ?? 0;
                if (value > 0)
                  samples.push({ labels: { ...limiter.one(stats.database), route, cache, result }, value });
              }),
            ),
          );
          return samples;
        }),
      ),
  );
  pulledHistogram(
    registry,
    'weir_query_duration_seconds',
    "Time from a statement's arrival to the end of its answer",
    function* () {
      for (const stats of sources.databaseStats()) {
        for (const [index, route] of routes.entries()) {
          const sample = durationSample(stats.durations[index], stats.durationSums[index]);
          if (sample.count > 0) yield { labels: { ...limiter.one(stats.database), route }, ...sample };
        }
      }
    },
  );
  pulled(
    registry,
    'counter',
    'weir_misroutes_total',
    'Statements taken for reads that a replica refused (25006)',
    perDatabase((stats) => stats.misroutes),
  );
  pulled(
    registry,
    'counter',
    'weir_recovery_conflicts_total',
    'Reads that a replica cancelled in favour of its replay; they ran again',
    perDatabase((stats) => stats.recoveryConflicts),
  );
  pulled(
    registry,
    'counter',
    'weir_transactions_total',
    'Transactions',
    perDatabase((stats) => stats.xacts),
  );
  pulled(
    registry,
    'counter',
    'weir_received_bytes_total',
    'Bytes from clients',
    perDatabase((stats) => stats.receivedBytes),
  );
  pulled(
    registry,
    'counter',
    'weir_sent_bytes_total',
    'Bytes to clients',
    perDatabase((stats) => stats.sentBytes),
  );
}

/** Cumulative counts out of plain ones; the last of these is what took longer than every bound. */
function durationSample(counts: Float64Array | undefined, sum: number | undefined): Omit<HistogramSample, 'labels'> {
  let count = 0;
  const cumulative = durationBoundsSeconds.map((_bound, index) => (count += counts?.[index] ?? 0));
  count += counts?.[durationBoundsSeconds.length] ?? 0;
  return { boundsSeconds: durationBoundsSeconds, counts: cumulative, sum: sum ?? 0, count };
}

export function registerNodes(registry: Registry, sources: StatsSources): void {
  const each = (value: (node: NodeState) => number) =>
    function* (): Generator<Sample> {
      for (const topology of sources.topologies()) {
        for (const node of topology.snapshot().nodes) {
          // What is not known has no sample: a 0 would look like "no lag at all".
          const now = value(node);
          if (Number.isFinite(now)) yield { labels: { database: topology.database, node: node.name }, value: now };
        }
      }
    };
  pulled(
    registry,
    'gauge',
    'weir_node_up',
    'The node answers probes',
    each((node) => (node.isUp ? 1 : 0)),
  );
  pulled(
    registry,
    'gauge',
    'weir_node_is_primary',
    'The node is the primary',
    each((node) => (node.role === 'primary' ? 1 : 0)),
  );
  pulled(
    registry,
    'gauge',
    'weir_replica_lag_bytes',
    'WAL that a replica has not replayed yet',
    each(replicaOnly((node) => node.lagBytes)),
  );
  pulled(
    registry,
    'gauge',
    'weir_replica_lag_seconds',
    'Upper bound of the age of what a replica shows',
    each(replicaOnly((node) => node.lagMs / 1000)),
  );
  pulled(
    registry,
    'gauge',
    'weir_node_outstanding_requests',
    'Requests sent and not yet answered',
    each((node) => node.load.outstanding),
  );
  pulled(
    registry,
    'gauge',
    'weir_node_slowdown_ratio',
    'Latency relative to the usual one of the same statements',
    each((node) => node.load.ewma),
  );
}

const replicaOnly =
  (value: (node: NodeState) => number) =>
  (node: NodeState): number =>
    node.role === 'replica' ? value(node) : NaN;

export function registerCache(registry: Registry, sources: StatsSources): void {
  const one = (type: 'counter' | 'gauge', name: string, help: string, value: (stats: CacheStats) => number): void =>
    pulled(registry, type, name, help, () => [{ labels: {}, value: value(sources.cacheStats()) }]);
  one('counter', 'weir_cache_hits_total', 'Answers out of the cache', (stats) => stats.hits);
  one(
    'counter',
    'weir_cache_second_level_hits_total',
    'Of the hits, those out of Redis',
    (stats) => stats.hitsSecondLevel,
  );
  one('counter', 'weir_cache_misses_total', 'Cacheable statements that a database answered', (stats) => stats.misses);
  one('counter', 'weir_cache_stores_total', 'Answers kept', (stats) => stats.stores);
  one('counter', 'weir_cache_evictions_total', 'Entries that had to go for want of room', (stats) => stats.evictions);
  one('gauge', 'weir_cache_entries', 'Entries in the first level', (stats) => stats.entries);
  one('gauge', 'weir_cache_bytes', 'Bytes in the first level', (stats) => stats.bytes);
  one(
    'gauge',
    'weir_undecided_writes',
    'Writes whose connection was lost: until it is known what became of them, their tables are read uncached, from the primary',
    (stats) => stats.undecided,
  );
  one('gauge', 'weir_cache_max_bytes', 'Bytes the first level may have', (stats) => stats.maxBytes);
  pulled(registry, 'counter', 'weir_cache_invalidations_total', 'Invalidations by what asked for them', () =>
    Object.entries(sources.cacheStats().invalidations).map(([source, value]) => ({ labels: { source }, value })),
  );
  pulled(
    registry,
    'gauge',
    'weir_cache_redis_up',
    'The second level can be reached; absent when none is configured',
    () => {
      const { redis } = sources.cacheStats();
      return redis === 'off' ? [] : [{ labels: {}, value: redis === 'up' ? 1 : 0 }];
    },
  );
  pulled(
    registry,
    'gauge',
    'weir_cache_lease_valid',
    'Cached answers may be shown: all Weirs that share the Redis are heard of; absent without Redis',
    () => {
      const { redis, hasLease } = sources.cacheStats();
      return redis === 'off' ? [] : [{ labels: {}, value: hasLease ? 1 : 0 }];
    },
  );
  const counted = (name: string, help: string, value: (stats: CacheStats) => number): void =>
    pulled(registry, 'counter', name, help, () => [{ labels: {}, value: value(sources.cacheStats()) }]);
  counted(
    'weir_cache_held_writes_total',
    'Writes that could not be announced through Redis and had to wait until no other Weir can show cached answers',
    (stats) => stats.writesHeld,
  );
  counted(
    'weir_cache_unannounced_writes_total',
    'Writes that went on without having been announced through Redis',
    (stats) => stats.writesUnannounced,
  );
  counted(
    'weir_cache_malformed_entries_total',
    'Entries in Redis that were damaged, or not from a Weir: taken for misses, and removed',
    (stats) => stats.malformed,
  );
  counted(
    'weir_cache_redis_losses_total',
    'Times that Redis was lost, or given up because of what it sent',
    (stats) => stats.redisLosses,
  );
}
