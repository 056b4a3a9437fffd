/**
 * What a transaction, or the batches since the last commit, have written. Used by writes.ts, which decides when it
 * takes effect.
 */
import type { Plan, Tag } from '../../binding/plan.ts';
import type { Catalog } from '../../catalog/types.ts';

/**
 * The prefix of tags that stand for all databases. Used before the first catalog is read: this process does not know the tags
 * of the database, but other Weirs may.
 */
export const anyDatabase = '';
/** Bit of WriteSet.extent. */
export const everything = 2;

export class WriteSet {
  readonly tags = new Set<Tag>();
  all = false;
  changesCatalog = false;
  /** ALTER ROLE or ALTER DATABASE: may change the defaults of new sessions. */
  changesDefaults = false;
  /** The catalog by which the plans decided what is written. */
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

  /** Tags of clients that are to be invalidated. */
  addTags(tags: readonly Tag[]): void {
    for (const tag of tags) this.tags.add(tag);
  }

  /**
   * A plan made with an older catalog than `catalog` may write more than it says, because a trigger may have been
   * created since.
   */
  knownBy(catalog: Catalog | undefined): void {
    // Without a catalog it is being read again, and then everything counts as written anyway (app/database.ts).
    if (catalog === undefined) return;
    this.catalog ??= catalog;
    if (this.catalog !== catalog) this.all = true;
  }

  /** A number that changes when something is added. */
  get extent(): number {
    return 4 * this.tags.size + everything * Number(this.all) + Number(this.changesCatalog);
  }

  get isEmpty(): boolean {
    return !this.all && !this.changesCatalog && this.tags.size === 0;
  }
}
