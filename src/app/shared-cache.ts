/**
 * The cache of this process; in a worker, with what it shares with those of the other workers. Called by parts.ts.
 */
import { createCache } from '../cache/cache.ts';
import type { CacheOptions } from '../cache/parts.ts';
import type { ResultCache } from '../cache/types.ts';
import { KnownWrites } from '../workers/known-writes.ts';
import { StampTransport } from '../workers/stamp-transport.ts';
import type { WorkerLink } from '../workers/worker-link.ts';
import type { Current } from './current.ts';

type RestOfOptions = Omit<CacheOptions, 'settings'>;

/** @param worker undefined: this process is the whole Weir */
export function createSharedCache(worker: WorkerLink | undefined, current: Current, rest: RestOfOptions): ResultCache {
  const options = { ...rest, settings: current.config.cache };
  if (worker === undefined) return createCache(options);
  const { channel } = worker;
  const hasReplicas = (): boolean => [...current.config.databases.values()].some(({ replicas }) => replicas.length > 0);
  const { enabled, leaseMs } = options.settings;
  const writes = new KnownWrites(channel, leaseMs);
  const cache = createCache({
    ...options,
    shareWithWorkers: (id) => new StampTransport(channel, id),
    // Without cached answers and replicas, what was written matters to no other worker.
    knownToWorkers: (token, changesCatalog) =>
      enabled || changesCatalog || hasReplicas() ? writes.knownToOthers(token) : undefined,
  });
  writes.answer((token) => cache.heardOf(token));
  return cache;
}
