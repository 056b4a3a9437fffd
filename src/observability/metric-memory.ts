/**
 * Metrics of the protection of memory. Called by metrics.ts.
 */
import type { Registry } from 'prom-client';
import { memoryStates, type MemoryFigures } from '../memory/types.ts';
import { pulled } from './pulled-metric.ts';
import type { StatsSources } from './types.ts';

export function registerMemory(registry: Registry, sources: StatsSources): void {
  const one = (
    type: 'counter' | 'gauge',
    name: string,
    help: string,
    value: (figures: MemoryFigures) => number,
  ): void => pulled(registry, type, name, help, () => [{ labels: {}, value: value(sources.memory()) }]);
  one(
    'gauge',
    'weir_memory_share',
    'Memory in use of what Weir may have: at 0.8 caches shrink and new clients wait, at 0.9 clients are shed. Of several workers, that of the fullest',
    (figures) => figures.share,
  );
  one('gauge', 'weir_memory_used_bytes', 'Memory in use', (figures) => figures.usedBytes);
  one('gauge', 'weir_memory_limit_bytes', 'Memory that Weir may have', (figures) => figures.limitBytes);
  one('gauge', 'weir_memory_cache_share', 'Part of their size that caches may have', (figures) => figures.cacheShare);
  one('gauge', 'weir_memory_waiting_clients', 'New clients that wait for memory', (figures) => figures.waitingClients);
  one(
    'counter',
    'weir_memory_refused_clients_total',
    'New clients that waited for memory in vain',
    (figures) => figures.refusedClients,
  );
  pulled(registry, 'gauge', 'weir_memory_state', '1 for the state of memory, the worst of all workers', () =>
    memoryStates.map((state) => ({ labels: { state }, value: sources.memory().state === state ? 1 : 0 })),
  );
  pulled(registry, 'counter', 'weir_memory_shed_clients_total', 'Clients ended because they held much memory', () =>
    Object.entries(sources.memory().shedClients).map(([reason, value]) => ({ labels: { reason }, value })),
  );
}
