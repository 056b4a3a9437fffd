/** What the sessions of one database share with each other. Made by app/database.ts, one per database. */
import type { Turn } from '../balancing/types.ts';

/** A session that keeps its server until the catalog has been read again (concerns/after-ddl.ts). */
export interface PinnedAfterDdl {
  catalogConfirmed(): void;
}

export class SharedBySessions {
  /** Position of round-robin. */
  readonly turn: Turn = { value: 0 };
  /** A session has called currval() or lastval() (concerns/sequences.ts). */
  hasAskedSequences = false;
  readonly pinnedAfterDdl = new Set<PinnedAfterDdl>();

  /** The catalog was read, or a comparison found it unchanged. */
  catalogConfirmed(): void {
    for (const pinned of [...this.pinnedAfterDdl]) pinned.catalogConfirmed();
  }
}
