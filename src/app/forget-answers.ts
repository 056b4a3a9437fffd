/**
 * Invalidates cached answers when the catalog of a database has changed. Called by database.ts and database-topology.ts.
 */
import type { ResultCache } from '../cache/types.ts';

/**
 * Called when a new catalog was read. With the old catalog, a write may have changed more tables than Weir knew of, for
 * example by a trigger that was created without Weir. So every table counts as written now.
 */
export function forgetAll(cache: ResultCache, prefix: string | undefined): void {
  if (prefix !== undefined) void cache.invalidate([`${prefix}all`, `${prefix}cat`], 'catalog');
}

/** Called when the defaults of new sessions change. The cache key has only settings made by SET, so it stays the same. */
export function forgetAnswers(cache: ResultCache, prefix: string | undefined): void {
  if (prefix !== undefined) void cache.invalidate([`${prefix}cat`], 'catalog');
}
