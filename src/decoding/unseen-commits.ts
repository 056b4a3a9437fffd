/**
 * Transactions whose commit was decoded, until a snapshot of the primary sees them: only then are their tables written for those
 * who read. Also those that were running when decoding began, because the stream may lack their commit. Used by reader.ts.
 */
import { hasEnded, widen, type Snapshot } from './snapshots.ts';

/** Undefined: which ones is not known, so all of them. */
export type Written = ReadonlySet<number> | undefined;

/** A transaction that has written more tables counts for all. */
const maxRelations = 1_000;
/** If more transactions wait to be seen, they count as one that has written everything. */
const maxWaiting = 10_000;

export class UnseenCommits {
  /** By the low 32 bits of their transaction IDs. */
  private readonly commits = new Map<number, Set<number> | undefined>();
  /** Running when decoding began, and not heard of since. */
  private readonly unheard: Set<number>;
  private hasTooMany = false;

  /** @param start taken after decoding had begun */
  constructor(start: Snapshot) {
    this.unheard = new Set(start.running);
  }

  get isEmpty(): boolean {
    return this.commits.size === 0 && !this.hasTooMany;
  }

  committed(xid: number, relations: Set<number> | undefined): void {
    if (relations !== undefined && relations.size === 0) return;
    if (this.commits.size >= maxWaiting) this.hasTooMany = true;
    else this.commits.set(xid, relations === undefined || relations.size > maxRelations ? undefined : relations);
  }

  /**
   * Takes out what the snapshot sees.
   * @returns the relations that were written; undefined: any may have been
   */
  seenBy(snapshot: Snapshot): Written {
    const written = new Set<number>();
    let isAny = this.hasTooMany;
    for (const [xid, relations] of this.commits) {
      const full = widen(xid, snapshot);
      if (!hasEnded(full, snapshot)) continue;
      this.commits.delete(xid);
      this.unheard.delete(full);
      if (relations === undefined) isAny = true;
      else for (const oid of relations) written.add(oid);
    }
    // Nothing shows any more which of the transactions that did not fit in are seen.
    if (this.commits.size === 0) this.hasTooMany = false;
    for (const full of this.unheard) {
      if (!hasEnded(full, snapshot)) continue;
      this.unheard.delete(full);
      isAny = true;
    }
    return isAny ? undefined : written;
  }
}
