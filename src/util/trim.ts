/**
 * Shrinks a cache of lru-cache to fewer bytes than it was made for, the least recently used first. Used by the caches that give way
 * when memory is short (cache/store.ts, sql/classifier.ts).
 */

interface Trimmable {
  readonly calculatedSize: number;
  /** Evicts the least recently used entry. */
  pop(): unknown;
  readonly size: number;
}

/** @returns the bytes that were given back */
export function trim(cache: Trimmable, maxBytes: number): number {
  const before = cache.calculatedSize;
  while (cache.size > 0 && cache.calculatedSize > maxBytes) cache.pop();
  return before - cache.calculatedSize;
}
