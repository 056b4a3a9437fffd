/**
 * The stamps and close markers of all tags that the workers of one Weir share: the part of shared-memory.ts that
 * scripts.ts keeps in the keys of tags. A tag without a stamp of this incarnation gets a new one when it is asked for,
 * so any stamp may be forgotten. Knows no members, and no clock.
 */
import { LRUCache } from 'lru-cache';
import type { Tag } from '../binding/plan.ts';
import { matchesAny } from './tag-pattern.ts';

/** Tags that got a new stamp without a write by this command: they were new, or a marker had lapsed. */
export interface Renewed {
  readonly tags: Tag[];
  readonly stamps: number[];
}

export interface LookedUp {
  readonly stamp: number;
  readonly isClosed: boolean;
}

/** More tags than a worker knows (cache.ts). The least recently used lose their stamp, and with it their answers. */
const maxStamps = 100_000;

/** Survives a structured clone. */
export interface SharedTagsState {
  /** The least recently used first. */
  readonly stamps: readonly (readonly [Tag, number])[];
  readonly markers: ReadonlyMap<Tag, ReadonlyMap<string, number>>;
  readonly last: number;
}

export class SharedTags {
  private readonly stamps = new LRUCache<Tag, number>({ max: maxStamps });
  /** Tag -> token -> deadline. Only tags that a write has closed. */
  private readonly markers: Map<Tag, Map<string, number>>;
  private last: number;
  private readonly isOpen: (token: string) => boolean;

  /**
   * @param isOpen its end was not heard of, and it has a note: such a write keeps its tags closed
   * @param state of another process, with the same clock
   */
  constructor(isOpen: (token: string) => boolean, state?: SharedTagsState) {
    this.isOpen = isOpen;
    this.last = state?.last ?? 0;
    this.markers = new Map(Array.from(state?.markers ?? [], ([tag, marked]) => [tag, new Map(marked)] as const));
    for (const [tag, stamp] of state?.stamps ?? []) this.stamps.set(tag, stamp);
  }

  state(): SharedTagsState {
    const stamps = Array.from(this.stamps.rkeys(), (tag) => [tag, this.stamps.peek(tag) ?? 0] as const);
    return { stamps, markers: this.markers, last: this.last };
  }

  bump(tag: Tag): number {
    const stamp = ++this.last;
    this.stamps.set(tag, stamp);
    return stamp;
  }

  look(tag: Tag, nowMs: number, renewed: Renewed): LookedUp {
    const hasLapsed = this.markers.has(tag) && this.dropLapsed(tag, nowMs);
    let stamp = this.stamps.get(tag);
    if (hasLapsed || stamp === undefined) {
      stamp = this.bump(tag);
      renewed.tags.push(tag);
      renewed.stamps.push(stamp);
    }
    return { stamp, isClosed: this.markers.has(tag) };
  }

  /** @returns undefined: there are more than `most` */
  like(patterns: readonly string[], most: number): Tag[] | undefined {
    const found: Tag[] = [];
    for (const tag of this.stamps.keys()) if (matchesAny(patterns, tag)) found.push(tag);
    return found.length > most ? undefined : found;
  }

  mark(tag: Tag, token: string, deadlineMs: number): void {
    const marked = this.markers.get(tag);
    if (marked === undefined) this.markers.set(tag, new Map([[token, deadlineMs]]));
    else marked.set(token, deadlineMs);
  }

  unmark(tag: Tag, token: string): void {
    const marked = this.markers.get(tag);
    if (marked?.delete(token) === true && marked.size === 0) this.markers.delete(tag);
  }

  /** Looks at all closed tags: those of a write whose worker is gone may never be asked for again. */
  sweep(nowMs: number, renewed: Renewed): void {
    for (const tag of [...this.markers.keys()]) this.look(tag, nowMs, renewed);
  }

  /** A new incarnation: no stamp counts any more. Writes stay open. */
  forgetStamps(): void {
    this.stamps.clear();
  }

  /** @returns whether one of its markers had lapsed */
  private dropLapsed(tag: Tag, nowMs: number): boolean {
    let hasLapsed = false;
    for (const [token, deadlineMs] of this.markers.get(tag) ?? []) {
      if (deadlineMs > nowMs || this.isOpen(token)) continue;
      this.unmark(tag, token);
      hasLapsed = true;
    }
    return hasLapsed;
  }
}
