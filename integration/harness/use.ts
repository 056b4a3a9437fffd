/**
 * What a test file gets from the run: the one cluster and the one Redis that global-setup.ts started. A file that
 * breaks nodes starts its own with startCluster() or startRedis().
 */
import { inject } from 'vitest';
import { ClusterView } from './cluster-view.ts';
import type { ClusterFacts } from './cluster-view.ts';
import type { RedisFacts } from './redis.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    weirCluster: ClusterFacts;
    weirRedis: RedisFacts | null;
  }
}

/** The shared cluster: make a database of your own in it, and leave its nodes as they are. */
export function useCluster(): ClusterView {
  return new ClusterView(inject('weirCluster'));
}

/** The shared Redis, or null when the machine has none: `describe.skipIf(useRedis() === null)`. */
export function useRedis(): RedisFacts | null {
  return inject('weirRedis');
}
