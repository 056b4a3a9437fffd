/**
 * Level 1: answers in this process, limited in bytes, the least recently used evicted first (lru-cache). Does not
 * decide whether an answer may be shown: cache.ts asks `isCurrent`. Maintains each tag's number of entries.
 */
import { LRUCache } from 'lru-cache';
import { trim } from '../util/trim.ts';
import { noStamp, type TagState } from './tag-state.ts';
import type { TagSet } from './tags.ts';
import type { Lookup } from './types.ts';

export interface Entry {
  readonly states: readonly TagState[];
  /** The stamps of `states` read before its query was sent (rule 1). */
  readonly stamps: readonly number[];
  /** Order number of that moment (TagTable.nextOrder); 0: before everything, because it came from the second level. */
  readonly order: number;
  /** From the primary: it includes everything committed before its query. */
  readonly isWhole: boolean;
  readonly filledAtMs: number;
  readonly expiresAtMs: number;
  /** Returned as it is, so that a hit allocates nothing. */
  readonly hit: Extract<Lookup, { kind: 'hit' }>;
  readonly bytes: number;
}

/** Memory of an entry in addition to its part and key, in bytes; test/cache/store.test.ts measures it. */
export const entryOverheadBytes = 1_200;

/** @returns the present stamps of a set; undefined if a tag is closed or Redis must be asked for it */
export function stampsOf(set: TagSet): number[] | undefined {
  const stamps: number[] = [];
  for (const state of set.states) {
    if (state.validStamp === noStamp) return undefined;
    stamps.push(state.validStamp);
  }
  return stamps;
}

export function isCurrent(states: readonly TagState[], stamps: readonly number[]): boolean {
  for (let i = 0; i < states.length; i++) if (states[i]!.validStamp !== stamps[i]) return false;
  return true;
}

/** @param stretch it is shown for this many times its time to live */
export function isAlive({ filledAtMs, expiresAtMs }: Entry, nowMs: number, ttlMs: number, stretch: number): boolean {
  return nowMs < filledAtMs + stretch * (expiresAtMs - filledAtMs) && nowMs - filledAtMs < ttlMs;
}

/** @returns true for the same tags. With other tags (from a hint) the same statement needs an answer of its own. */
export function isSameSet(a: readonly TagState[], b: readonly TagState[]): boolean {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** @returns buffers that own exactly their memory, because a slice would keep its whole chunk in memory */
export function owned(parts: readonly Buffer[]): Buffer[] {
  return parts.map((part) => {
    if (part.byteLength === part.buffer.byteLength) return part;
    const copy = Buffer.allocUnsafeSlow(part.length);
    part.copy(copy);
    return copy;
  });
}

export function sumOf(parts: readonly Buffer[]): number {
  let sum = 0;
  for (const part of parts) sum += part.length;
  return sum;
}

/** @param key the full key; `parts` must own their memory */
export function makeEntry(key: string, what: Omit<Entry, 'hit' | 'bytes'>, parts: readonly Buffer[]): Entry {
  return { ...what, hit: { kind: 'hit', parts, level: 1 }, bytes: sumOf(parts) + key.length + entryOverheadBytes };
}

export class Store {
  private readonly entries: LRUCache<string, Entry>;
  readonly maxBytes: number;
  /** Less than maxBytes while memory is short. */
  private allowedBytes: number;
  evictions = 0;

  constructor(maxBytes: number) {
    this.maxBytes = this.allowedBytes = maxBytes;
    this.entries = new LRUCache<string, Entry>({
      maxSize: maxBytes,
      sizeCalculation: (entry) => entry.bytes,
      dispose: (entry, _key, reason) => {
        for (const state of entry.states) state.entries--;
        if (reason === 'evict') this.evictions++;
      },
    });
  }

  get(key: string): Entry | undefined {
    return this.entries.get(key);
  }

  set(key: string, entry: Entry): void {
    if (entry.bytes > this.allowedBytes) return;
    for (const state of entry.states) state.entries++;
    this.entries.set(key, entry);
    if (this.entries.calculatedSize > this.allowedBytes) trim(this.entries, this.allowedBytes);
  }

  /** @param share of maxBytes that may be used from now on. @returns the bytes given back */
  keepShare(share: number): number {
    this.allowedBytes = this.maxBytes * share;
    return trim(this.entries, this.allowedBytes);
  }

  delete(key: string): void {
    this.entries.delete(key);
  }

  /** Removes the entries that carry one of the tags. @returns how many there were */
  removeOf(states: readonly TagState[]): number {
    if (states.every((state) => state.entries === 0)) return 0;
    const chosen = new Set(states);
    const keys: string[] = [];
    for (const [key, entry] of this.entries.entries())
      if (entry.states.some((state) => chosen.has(state))) keys.push(key);
    for (const key of keys) this.entries.delete(key);
    return keys.length;
  }

  clear(): void {
    this.entries.clear();
  }

  get size(): number {
    return this.entries.size;
  }

  get bytes(): number {
    return this.entries.calculatedSize;
  }
}
