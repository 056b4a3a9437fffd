/**
 * Invalidates answers without a write: because somebody asks for it, or because the catalog has changed. In this process
 * at once, in the other Weirs as soon as Redis has the command. Called by cache.ts.
 */
import type { Tag } from '../binding/plan.ts';
import type { Counts } from './counts.ts';
import { maxTagsPerWrite } from './guard.ts';
import type { Peers } from './peers.ts';
import type { Store } from './store.ts';
import { matchesAny } from './tag-pattern.ts';
import type { TagState } from './tag-state.ts';
import type { TagTable } from './tags.ts';
import type { Invalidated, InvalidatedBy } from './types.ts';
import { waitAtMost } from './deadlines.ts';

/** How long a command waits for Redis at most. */
const operatorWaitMs = 1_000;
/** The same with patterns, for which Redis looks at all of its keys. */
const patternWaitMs = 10_000;
/** Patterns that match more tags make everything void: that is one command. */
const maxMatches = 20_000;

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

  async of(tags: readonly Tag[], by: InvalidatedBy, patterns: readonly string[] = []): Promise<Invalidated> {
    const { table, store, peers, counts } = this.parts;
    const named = new Set(tags);
    if (patterns.length > 0) for (const tag of table.tags()) if (matchesAny(patterns, tag)) named.add(tag);
    const states = [...named].map((tag) => table.state(tag));
    // Nobody reads the count of the others, and it takes a look at every entry.
    const entries = by === 'operator' || by === 'http' ? store.removeOf(states) : 0;
    for (const state of states) {
      state.writtenNow(by === 'catalog');
      table.bump(state);
      counts.invalidations[by]++;
    }
    const told = peers === undefined ? undefined : this.tell(peers, states);
    if (peers === undefined || patterns.length === 0) {
      await waitAtMost(Promise.resolve(told), operatorWaitMs);
      return { tags: named.size, entries };
    }
    const others = this.ofOthers(peers, named, patterns, by);
    await waitAtMost(Promise.all([told, others]), patternWaitMs);
    return { tags: named.size, entries };
  }

  async ofAll(by: InvalidatedBy = 'operator'): Promise<Invalidated> {
    const { table, store, peers, counts } = this.parts;
    const found = { tags: table.size, entries: store.size };
    counts.invalidations[by]++;
    table.reset();
    store.clear();
    if (peers !== undefined) await waitAtMost(peers.rotate(), operatorWaitMs);
    return found;
  }

  private async tell(peers: Peers, states: readonly TagState[]): Promise<void> {
    const sent: Promise<void>[] = [];
    for (let i = 0; i < states.length; i += maxTagsPerWrite) {
      sent.push(peers.opened('', states.slice(i, i + maxTagsPerWrite), true));
    }
    await Promise.all(sent);
  }

  /** Tags that only others use. @param named those that were told already; adds the others */
  private async ofOthers(peers: Peers, named: Set<Tag>, patterns: readonly string[], by: InvalidatedBy): Promise<void> {
    const found = await peers.tagsLike(patterns, maxMatches);
    // It is not known which answers they have.
    if (found === undefined) return void (await this.ofAll(by));
    const others = found.filter((tag) => !named.has(tag));
    for (const tag of others) named.add(tag);
    this.parts.counts.invalidations[by] += others.length;
    const sent: Promise<void>[] = [];
    for (let i = 0; i < others.length; i += maxTagsPerWrite) {
      sent.push(peers.bumpUnused(others.slice(i, i + maxTagsPerWrite)));
    }
    await Promise.all(sent);
  }
}
