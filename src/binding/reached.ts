/**
 * What was found out about a statement so far: the relations that it reads, and why it is no read, not to be cached, or not
 * the same on a standby. Filled by reach.ts and follow.ts.
 */
import type { CatalogRelation } from '../catalog/types.ts';

export class Reach {
  /** Relations whose rows are read, views expanded; materialized views are themselves. */
  readonly relations = new Map<number, CatalogRelation>();
  /** First reason why it is not a read, and why its answer cannot be kept. */
  notRead: string | undefined;
  notCacheable: string | undefined;
  /** First reason why a hot standby may answer otherwise in a READ ONLY transaction (standby.ts). */
  unlikeOnStandby: string | undefined;
  /** A function of unknown effect may write any table. */
  writesAll: string | undefined;
  isSuspect = false;
  mayDefine = false;
  leavesState = false;
  asksSequences = false;
  showsNames = false;
  /** Of functions that the text itself calls: row security asks too often for it to be worth a server. */
  asksSettings: readonly string[] = [];
  /** Functions whose bodies were looked into, and by what right. */
  readonly followed = new Set<string>();

  /** @param isAlike a standby does the same: it is not a read for another reason than that */
  refuse(reason: string, isAlike = false): void {
    this.notRead ??= reason;
    this.notCacheable ??= reason;
    if (!isAlike) this.unlikeOnStandby ??= reason;
  }
  refuseCache(reason: string): void {
    this.notCacheable ??= reason;
  }
}
