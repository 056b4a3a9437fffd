/**
 * What becomes of a complete answer when its flight comes back: kept, here and with the peers, or not. Called by cache.ts,
 * which says what may be shown.
 */
import type { CacheSettings } from '../config/config.ts';
import type { Counts } from './counts.ts';
import type { FlightPlan } from './flights.ts';
import type { CacheParts } from './parts.ts';
import type { SecondLevel } from './second-level.ts';
import { makeEntry, owned, sumOf, type Entry, type Store } from './store.ts';

/** Lives are up to this much shorter than allowed, so that what was filled together does not end together. */
const ttlJitter = 0.1;

export interface LandingOptions {
  readonly settings: CacheSettings;
  readonly parts: Pick<CacheParts, 'isCurrent' | 'random'>;
  readonly store: Store;
  readonly second: SecondLevel | undefined;
  readonly counts: Counts;
  /** Monotonic milliseconds. */
  now(): number;
}

export class Landing {
  private readonly options: LandingOptions;

  constructor(options: LandingOptions) {
    this.options = options;
  }

  private keep(plan: FlightPlan, entry: Entry): void {
    this.options.store.set(plan.key, entry);
    this.options.counts.stores++;
  }

  /**
   * With peers an answer may hold a commit whose announcement is still on its way to us. Redis has it already, and
   * refuses the answer: so what is in level 1 never runs ahead of what it is stamped with.
   */
  private async keepShared(plan: FlightPlan, entry: Entry, ttlMs: number): Promise<void> {
    const isKept = (await this.options.second?.keep(plan, entry.hit.parts, ttlMs)) === true;
    if (isKept && this.options.parts.isCurrent(plan.set.states, plan.stamps)) this.keep(plan, entry);
  }

  /** Stores the answer if every stamp still holds (rule 1). */
  land(plan: FlightPlan, frames: readonly Buffer[], isWhole: boolean): Entry | undefined {
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
    if (this.options.second === undefined) this.keep(plan, entry);
    else void this.keepShared(plan, entry, leftMs);
    return entry;
  }
}
