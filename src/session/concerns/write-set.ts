/** What a transaction, or the batches since the last commit, have written. A value of writes.ts, which decides when it counts. */
import type { Plan, Tag } from '../../binding/plan.ts';
import type { Catalog } from '../../catalog/types.ts';

/** Bit of WriteSet.extent. */
export const everything = 2;

/** What a transaction, or the batches since the last commit, have written. */
export class WriteSet {
  readonly tags = new Set<Tag>();
  all = false;
  changesCatalog = false;
  /** ALTER ROLE, ALTER DATABASE: perhaps what new sessions begin with. */
  changesDefaults = false;
  /** By which it was decided what is written. */
  private catalog: Catalog | undefined;

  add(plan: Plan): void {
    this.knownBy(plan.catalog);
    for (const tag of plan.writes) this.tags.add(tag);
    if (plan.writesAll) this.all = true;
    if (!plan.changesCatalog) return;
    this.changesCatalog = true;
    if (plan.facts.statements.some(({ verb }) => verb === 'ALTER ROLE' || verb === 'ALTER DATABASE'))
      this.changesDefaults = true;
  }

  /** What was bound to an older catalog than `catalog` may write more than that said, by a trigger made meanwhile. */
  knownBy(catalog: Catalog | undefined): void {
    // While there is none, it is being read anew: then everything counts as written, whatever this says (app/database.ts).
    if (catalog === undefined) return;
    this.catalog ??= catalog;
    if (this.catalog !== catalog) this.all = true;
  }

  /** Another number when there is more in it. */
  get extent(): number {
    return 4 * this.tags.size + everything * Number(this.all) + Number(this.changesCatalog);
  }

  get isEmpty(): boolean {
    return !this.all && !this.changesCatalog && this.tags.size === 0;
  }
}
