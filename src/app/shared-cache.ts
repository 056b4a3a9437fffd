/**
 * The cache of this process; in a worker, with what it shares with those of the other workers. Called by parts.ts.
 */
import { createCache } from '../cache/cache.ts';
import type { CacheOptions } from '../cache/parts.ts';
import type { ResultCache } from '../cache/types.ts';
import type { Config } from '../config/config.ts';
import { KnownWrites } from '../workers/known-writes.ts';
import { StampTransport } from '../workers/stamp-transport.ts';
import type { WorkerLink } from '../workers/worker-link.ts';
import type { Current } from './current.ts';

type RestOfOptions = Omit<CacheOptions, 'settings'>;

/** Nodes that other workers have found do not stand in the configuration, and each worker finds them at another time. */
export function mayHaveReplicas({ databases, routing }: Pick<Config, 'databases' | 'routing'>): boolean {
  return routing.autoDiscover !== 'off' || [...databases.values()].some(({ replicas }) => replicas.length > 0);
}

/** @param worker undefined: this process is the whole Weir */
export function createSharedCache(worker: WorkerLink | undefined, current: Current, rest: RestOfOptions): ResultCache {
  const options = { ...rest, settings: current.config.cache };
  if (worker === undefined) return createCache(options);
  const { channel } = worker;
  const { enabled, leaseMs } = options.settings;
  const writes = new KnownWrites(channel, leaseMs);
  const cache = createCache({
    ...options,
    shareWithWorkers: (id) => new StampTransport(channel, id),
    // Without cached answers and replicas, what was written matters to no other worker.
    knownToWorkers: (token, changesCatalog) =>
      enabled || changesCatalog || mayHaveReplicas(current.config) ? writes.knownToOthers(token) : undefined,
  });
  writes.answer((token) => cache.heardOf(token));
  return cache;
}
