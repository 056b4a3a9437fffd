/**
 * Stores complete answers of databases in level 1, and with Redis in the second level, if every tag still has the
 * stamp that it had before the query was sent (rule 1). Called by cache.ts, which decides what may be shown.
 */
import type { CacheSettings } from '../config/config.ts';
import type { Counts } from './counts.ts';
import type { FlightPlan } from './flights.ts';
import type { CacheParts } from './parts.ts';
import type { SecondLevel } from './second-level.ts';
import { makeEntry, owned, sumOf, type Entry, type Store } from './store.ts';

/** Shortens the time to live at random, by up to this share, so that entries stored together do not expire together. */
const ttlJitter = 0.1;

export interface FillsOptions {
  readonly settings: CacheSettings;
  readonly parts: Pick<CacheParts, 'isCurrent' | 'random'>;
  readonly store: Store;
  readonly second: SecondLevel | undefined;
  readonly counts: Counts;
  /** Monotonic milliseconds. */
  now(): number;
}

export class Fills {
  private readonly options: FillsOptions;

  constructor(options: FillsOptions) {
    this.options = options;
  }

  private storeHere(plan: FlightPlan, entry: Entry): void {
    this.options.store.set(plan.key, entry);
    this.options.counts.stores++;
  }

  /**
   * The answer may show a commit of another Weir whose announcement has not arrived here yet. Redis has the
   * announcement and refuses to store the answer, so it is not stored here either: it would carry stamps from before
   * that commit.
   */
  private async storeShared(plan: FlightPlan, entry: Entry, ttlMs: number): Promise<void> {
    const isStored = (await this.options.second?.keep(plan, entry.hit.parts, ttlMs)) === true;
    if (isStored && this.options.parts.isCurrent(plan.set.states, plan.stamps)) this.storeHere(plan, entry);
  }

  /** Stores the answer if every stamp still holds (rule 1). */
  store(plan: FlightPlan, frames: readonly Buffer[], isWhole: boolean): Entry | undefined {
    const { set, stamps, startedAtMs, order } = plan;
    if (sumOf(frames) > this.options.settings.maxEntrySizeBytes) return undefined;
    if (!this.options.parts.isCurrent(set.states, stamps)) return undefined;
    const lifeMs = Math.min(plan.ttlMs, this.options.settings.ttlMs * (1 - ttlJitter * this.options.parts.random()));
    const expiresAtMs = startedAtMs + lifeMs;
    const leftMs = expiresAtMs - this.options.now();
    if (!(leftMs > 0)) return undefined;
    const parts = owned(frames);
    const entry = makeEntry(
      plan.key,
      { states: set.states, stamps, order, isWhole, filledAtMs: startedAtMs, expiresAtMs },
      parts,
    );
    if (this.options.second === undefined) this.storeHere(plan, entry);
    else void this.storeShared(plan, entry, leftMs);
    return entry;
  }
}
