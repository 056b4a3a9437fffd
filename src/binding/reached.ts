/**
 * Collects the results of the look-ups for one statement: the relations that it reads, and why it is not a read, must not
 * be cached, or may act differently on a standby. Filled by reach.ts, follow.ts and writes.ts.
 */
import type { CatalogRelation } from '../catalog/types.ts';

/** Session state that a statement reads, so that it may need the server of earlier statements. */
export class SessionQuestions {
  /** currval() or lastval(). */
  sequences = false;
  /** The names of prepared statements. */
  preparedNames = false;
  /**
   * Custom settings read by functions that the text calls. Settings read by policies are left out: they are read too often
   * to look for a server without the setting each time (session/concerns/custom-settings.ts).
   */
  settings: readonly string[] = [];
}

export class Reach {
  /** By OID: relations that it reads, with those below views. A materialized view is not expanded. */
  readonly relations = new Map<number, CatalogRelation>();
  /** The first reason why it is not a read; and why its answer must not be cached. */
  notRead: string | undefined;
  notCacheable: string | undefined;
  /** The first reason why a hot standby may act differently in a READ ONLY transaction (standby.ts). */
  unlikeOnStandby: string | undefined;
  /** Why it may write any table; undefined: it does not. */
  writesAll: string | undefined;
  isSuspect = false;
  /** What the catalog lacks: a function, or only another name (relation, operator, type). */
  unknown: 'nothing' | 'a name' | 'a function' = 'nothing';
  mayDefine = false;
  leavesState = false;
  readonly asks = new SessionQuestions();
  /** Functions that follow.ts has read, with the flags of the caller. */
  readonly followed = new Set<string>();

  /** @param isAlike the reason does not make a standby act differently */
  refuse(reason: string, isAlike = false): void {
    this.notRead ??= reason;
    this.notCacheable ??= reason;
    if (!isAlike) this.unlikeOnStandby ??= reason;
  }
  refuseCache(reason: string): void {
    this.notCacheable ??= reason;
  }

  /** The catalog does not have a relation, operator or type that it uses. */
  noteUnknownName(): void {
    if (this.unknown === 'nothing') this.unknown = 'a name';
  }
}
