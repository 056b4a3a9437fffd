/**
 * What the cache forgets when the catalog of a database is another. Called by database.ts.
 */
import type { ResultCache } from '../cache/types.ts';

/**
 * The catalog has been read once more: what was written under the one before may have touched more than that said, by a
 * trigger made around Weir. So all of it counts as written now, in the cache and for replicas.
 */
export function forgetAll(cache: ResultCache, prefix: string | undefined): void {
  if (prefix !== undefined) void cache.invalidate([`${prefix}all`, `${prefix}cat`], 'catalog');
}

/** New sessions begin with other settings: answers are told apart by what sessions have SET, and these have not SET anything. */
export function forgetAnswers(cache: ResultCache, prefix: string | undefined): void {
  if (prefix !== undefined) void cache.invalidate([`${prefix}cat`], 'catalog');
}
