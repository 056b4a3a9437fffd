/**
 * Metrics of the cache. Dashboards and alerts of users depend on the names and labels: a change needs a line in the
 * CHANGELOG. Called by metrics.ts.
 */
import type { Registry } from 'prom-client';
import type { CacheStats } from '../cache/types.ts';
import { pulled } from './pulled-metric.ts';
import type { StatsSources } from './types.ts';

export function registerCache(registry: Registry, sources: StatsSources): void {
  const one: One = (type, name, help, value) =>
    pulled(registry, type, name, help, () => [{ labels: {}, value: value(sources.cacheStats()) }]);
  registerLevels(one);
  registerInvalidations(registry, sources);
  registerPeers(one);
  registerDecodings(registry, sources);
}

function registerDecodings(registry: Registry, sources: StatsSources): void {
  pulled(
    registry,
    'gauge',
    'weir_cache_out_of_band_lag_seconds',
    'How long ago the last moment was up to which all writes around Weir are known; absent before the first one',
    () =>
      Array.from(sources.decodings(), ({ database, lagMs }) =>
        lagMs === undefined ? [] : [{ labels: { database }, value: lagMs / 1000 }],
      ).flat(),
  );
}

/** Registers one figure of the whole cache. */
type One = (type: 'counter' | 'gauge', name: string, help: string, value: (stats: CacheStats) => number) => void;

function registerLevels(one: One): void {
  one('counter', 'weir_cache_hits_total', 'Answers out of the cache', (stats) => stats.hits);
  one(
    'counter',
    'weir_cache_second_level_hits_total',
    'Of the hits, those out of Redis, or out of the memory that the workers share',
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
}

function registerInvalidations(registry: Registry, sources: StatsSources): void {
  pulled(registry, 'counter', 'weir_cache_invalidations_total', 'Invalidations by what asked for them', () =>
    Object.entries(sources.cacheStats().invalidations).map(([source, value]) => ({ labels: { source }, value })),
  );
  const up = (name: string, help: string, which: 'redis' | 'workers'): void =>
    pulled(registry, 'gauge', name, help, () => {
      const state = sources.cacheStats()[which];
      return state === 'off' ? [] : [{ labels: {}, value: state === 'up' ? 1 : 0 }];
    });
  up('weir_cache_redis_up', 'The second level can be reached; absent when none is configured', 'redis');
  up(
    'weir_cache_workers_up',
    'The memory that the workers share without Redis can be used; absent with one worker, or with Redis',
    'workers',
  );
  pulled(
    registry,
    'gauge',
    'weir_cache_lease_valid',
    'Cached answers may be shown: all Weirs that share the Redis, or all workers, are heard of; absent if nothing is shared',
    () => {
      const { redis, workers, hasLease } = sources.cacheStats();
      return redis === 'off' && workers === 'off' ? [] : [{ labels: {}, value: hasLease ? 1 : 0 }];
    },
  );
}

function registerPeers(one: One): void {
  one(
    'counter',
    'weir_cache_held_writes_total',
    'Writes that could not be announced to the other Weirs or workers and had to wait until these can show no cached answers',
    (stats) => stats.writesHeld,
  );
  one(
    'counter',
    'weir_cache_unannounced_writes_total',
    'Writes that went on without having been announced to the other Weirs or workers',
    (stats) => stats.writesUnannounced,
  );
  one(
    'counter',
    'weir_cache_malformed_entries_total',
    'Entries in Redis that were damaged, or not from a Weir: taken for misses, and removed',
    (stats) => stats.malformed,
  );
  one(
    'counter',
    'weir_cache_redis_losses_total',
    'Times that Redis was lost, or given up because of what it sent',
    (stats) => stats.redisLosses,
  );
}
