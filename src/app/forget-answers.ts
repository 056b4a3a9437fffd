/**
 * Makes cached answers void when the catalog of a database has changed. Called by database.ts and database-topology.ts.
 */
import type { ResultCache } from '../cache/types.ts';

/**
 * A new catalog was read. Under the one before, a write may have changed more tables than Weir knew of, for example by a trigger
 * that was created without Weir. So every table counts as written now, for the cache and for replicas.
 */
export function forgetAll(cache: ResultCache, prefix: string | undefined): void {
  if (prefix !== undefined) void cache.invalidate([`${prefix}all`, `${prefix}cat`], 'catalog');
}

/** New sessions begin with other settings. The key of an answer has only what sessions have SET, so it does not show the difference. */
export function forgetAnswers(cache: ResultCache, prefix: string | undefined): void {
  if (prefix !== undefined) void cache.invalidate([`${prefix}cat`], 'catalog');
}
