/**
 * What a write has really written depends on triggers, rules and functions that somebody may have made around Weir a moment
 * ago. So after a write a session takes nothing older from the cache, until a comparison of the catalog that began after the
 * write has found nothing new (docs/adr/0008-ddl-around-weir.md). One per session; asked by handle-request.ts.
 */
import type { SchemaClock } from '../topology/types.ts';

export class SchemaProof {
  private clock: SchemaClock | undefined;
  /** Number of the comparison that has to come back. */
  private needed = 0;

  /** Something was committed. */
  wrote(clock: SchemaClock): void {
    this.clock = clock;
    this.needed = clock.next;
  }

  isThere(clock: SchemaClock): boolean {
    // A reload has replaced it: the old one's numbers mean nothing here.
    if (this.clock !== clock) this.wrote(clock);
    if (clock.confirmed >= this.needed) return true;
    clock.hurry();
    return false;
  }
}
