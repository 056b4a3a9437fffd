/**
 * Counters of the cache, and its figures for SHOW CACHE and the metrics. Written by cache.ts and fills.ts.
 */
import type { Peers } from './peers.ts';
import type { SecondLevel } from './second-level.ts';
import type { Store } from './store.ts';
import type { StoreKind } from './transport.ts';
import type { CacheStats, StoreState } from './types.ts';

const noFigures = {
  writesHeld: 0,
  writesUnannounced: 0,
  redisLosses: 0,
  redisProblem: undefined,
  workersProblem: undefined,
};

/** Whom a write of such a tag counts for: only weir_invalidate() writes tags of clients. */
export const bumpedBy = { catalog: 'catalog', user: 'sql', relation: 'local', all: 'local' } as const;

export class Counts {
  hits = 0;
  hitsSecondLevel = 0;
  misses = 0;
  /** Writes of unknown outcome. */
  undecided = 0;
  stores = 0;
  readonly invalidations = { local: 0, peer: 0, operator: 0, catalog: 0, around: 0, gap: 0, sql: 0, http: 0 };

  stats(
    store: Store,
    peers: Peers | undefined,
    second: SecondLevel | undefined,
  ): Omit<CacheStats, 'isEnabled' | 'hasLease'> {
    return {
      entries: store.size,
      bytes: store.bytes,
      maxBytes: store.maxBytes,
      hits: this.hits,
      hitsSecondLevel: this.hitsSecondLevel,
      misses: this.misses,
      stores: this.stores,
      evictions: store.evictions,
      invalidations: { ...this.invalidations },
      ...(peers?.figures ?? noFigures),
      undecided: this.undecided,
      malformed: second?.malformed ?? 0,
      redis: stateOf('redis', peers),
      workers: stateOf('workers', peers),
    };
  }
}

function stateOf(kind: StoreKind, peers: Peers | undefined): StoreState {
  if (peers?.kind !== kind) return 'off';
  return peers.isUp ? 'up' : 'down';
}
