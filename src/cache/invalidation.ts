/**
 * Invalidates answers without a write: because an administrator asks for it, or because the catalog has changed. In
 * this process at once, in the other Weirs as soon as Redis has the command. Called by cache.ts.
 */
import type { Tag } from '../binding/plan.ts';
import type { Counts } from './counts.ts';
import { maxTagsPerWrite } from './guard.ts';
import type { Peers } from './peers.ts';
import type { Store } from './store.ts';
import type { TagTable } from './tags.ts';
import { waitAtMost } from './deadlines.ts';
import type { InvalidatedBy } from './types.ts';

/** How long an administrator's command waits for Redis at most. */
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

  async of(tags: readonly Tag[], by: InvalidatedBy): Promise<void> {
    const { table, peers, counts } = this.parts;
    const states = [...new Set(tags)].map((tag) => table.state(tag));
    for (const state of states) {
      state.writtenNow(by === 'catalog');
      table.bump(state);
      counts.invalidations[by]++;
    }
    const sent: (Promise<void> | undefined)[] = [];
    for (let i = 0; i < states.length; i += maxTagsPerWrite) {
      sent.push(peers?.opened('', states.slice(i, i + maxTagsPerWrite), true));
    }
    await waitAtMost(Promise.all(sent), operatorWaitMs);
  }

  async ofAll(): Promise<void> {
    const { table, store, peers, counts } = this.parts;
    counts.invalidations.operator++;
    table.reset();
    store.clear();
    if (peers !== undefined) await waitAtMost(peers.rotate(), operatorWaitMs);
  }
}
