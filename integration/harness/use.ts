/**
 * What a test file gets from the run: the cluster and the Redis that global-setup.ts started for its worker of vitest. A
 * file that breaks nodes starts its own with startCluster() or startRedis().
 */
import { inject } from 'vitest';
import { ClusterView } from './cluster-view.ts';
import type { ClusterFacts } from './cluster-view.ts';
import type { RedisFacts } from './redis.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    weirClusters: readonly ClusterFacts[];
    weirRedises: readonly RedisFacts[];
  }
}

/** The shared cluster: make a database of your own in it, and leave its nodes as they are. */
export function useCluster(): ClusterView {
  return new ClusterView(inject('weirClusters')[worker()] as ClusterFacts);
}

/** The shared Redis, or null when the machine has none: `describe.skipIf(useRedis() === null)`. */
export function useRedis(): RedisFacts | null {
  return inject('weirRedises')[worker()] ?? null;
}

/** Index of this worker of vitest. */
function worker(): number {
  return Number(process.env.VITEST_POOL_ID) - 1;
}
