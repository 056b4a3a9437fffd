/**
 * What a write has really changed also depends on triggers, rules and functions that may have been created outside
 * Weir a moment ago. So after a write, a session uses no older cached answer until a comparison of the catalog that
 * began after the write has found no difference (docs/adr/0008-ddl-around-weir.md). Used by steps/look-up.ts (through
 * tokens.ts) and concerns/after-ddl.ts.
 */
import type { SchemaClock } from '../topology/types.ts';

export class SchemaProof {
  private clock: SchemaClock | undefined;
  /** Number of the comparison that must have succeeded. */
  private needed = 0;

  /** Call after a commit. */
  wrote(clock: SchemaClock): void {
    this.clock = clock;
    this.needed = clock.next;
  }

  isThere(clock: SchemaClock): boolean {
    // A reload has replaced the clock: the numbers of the old one have no meaning here.
    if (this.clock !== clock) this.wrote(clock);
    if (clock.confirmed >= this.needed) return true;
    clock.hurry();
    return false;
  }
}
