/**
 * Answers forgotten without a write: because an operator says so, or because a catalog is another. Here at once, and with
 * the peers as soon as Redis has heard it. Called by cache.ts.
 */
import type { Tag } from '../binding/plan.ts';
import type { Counts } from './counts.ts';
import { maxTagsPerWrite } from './guard.ts';
import type { Peers } from './peers.ts';
import type { Store } from './store.ts';
import type { TagTable } from './tags.ts';
import { within } from './within.ts';

/** Longest that an operator waits for Redis. */
const operatorWaitMs = 1_000;

export interface InvalidationParts {
  readonly table: TagTable;
  readonly store: Store;
  readonly peers: Peers | undefined;
  readonly counts: Counts;
}

export class Invalidation {
  private readonly parts: InvalidationParts;

  constructor(parts: InvalidationParts) {
    this.parts = parts;
  }

  async of(tags: readonly Tag[], by: 'operator' | 'catalog'): Promise<void> {
    const { table, peers, counts } = this.parts;
    const states = [...new Set(tags)].map((tag) => table.state(tag));
    for (const state of states) {
      state.writtenNow(by === 'catalog');
      table.bump(state);
      counts.invalidations[by]++;
    }
    const told: Promise<void>[] = [];
    for (let i = 0; i < states.length; i += maxTagsPerWrite) {
      const told1 = peers?.opened('', states.slice(i, i + maxTagsPerWrite), true);
      if (told1 !== undefined) told.push(told1);
    }
    await within(Promise.all(told), operatorWaitMs);
  }

  async ofAll(): Promise<void> {
    const { table, store, peers, counts } = this.parts;
    counts.invalidations.operator++;
    table.reset();
    store.clear();
    if (peers !== undefined) await within(peers.rotate(), operatorWaitMs);
  }
}
