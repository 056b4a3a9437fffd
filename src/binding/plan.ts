/**
 * A statement bound to a catalog: what it may do, where it may run, what it depends on. The value that routing,
 * cache and session all decide by, and that `weir explain` prints. Types only; made by binding/binder.ts.
 */
import type { QueryFacts, SettingChange, TransactionVerb } from '../sql/facts.ts';
import type { Catalog } from '../catalog/types.ts';
import type { CustomSettings } from './settings.ts';
import type { PinReason } from './session-state.ts';

/** Cache tag: `<catalog.tagPrefix>r<oid of the root relation>`; the catalog's own is `<prefix>cat`, everything `<prefix>all`; a user's tag `t:<name>`. */
export type Tag = string;

export type { PinReason };

/** What running it successfully does to the session's server-side state. */
export interface SessionEffects {
  readonly settings: readonly SettingChange[];
  readonly resetsAll: boolean;
  readonly discards: 'all' | 'plans' | 'temp' | 'sequences' | undefined;
  readonly pins: readonly PinReason[];
  /** UNLISTEN *, DEALLOCATE ALL, CLOSE ALL, pg_advisory_unlock_all ...: reasons that end. */
  readonly unpins: readonly PinReason[];
  /** DROP, CLOSE name, UNLISTEN name, pg_advisory_unlock(): reasons that may have ended, if nothing else is left. */
  readonly mayEnd: readonly PinReason[];
  /** DEALLOCATE name; '' = ALL. */
  readonly deallocates: string | undefined;
  /** It may have changed session state in ways that the text does not show (DO, CALL, volatile user functions):
   *  the server is reset before another client gets it. */
  readonly isSuspect: boolean;
}

export interface Plan {
  readonly facts: QueryFacts;
  readonly catalog: Catalog | undefined;
  /** Every statement in it is provably harmless on a hot standby. */
  readonly isRead: boolean;
  /** In a READ ONLY transaction a hot standby does and answers the same as a primary; of reads it does. */
  readonly isAlikeOnStandby: boolean;
  /** In words why (not): "read", "writes public.users", "calls volatile nextval()", "not parsed: ...". */
  readonly why: string;
  /** A plain single SELECT whose answer is made of rows: may share a lane with other clients' reads. */
  readonly isPlainRead: boolean;
  /** Tags that it may write; `writesAll`: unknown, so everything. */
  readonly writes: readonly Tag[];
  readonly writesAll: boolean;
  readonly changesCatalog: boolean;
  /** Tags of everything its answer depends on, the catalog's included. Of reads only; of those without a table, none. */
  readonly reads: readonly Tag[];
  readonly isCacheable: boolean;
  /** In words why not; "" when it is. */
  readonly cacheWhy: string;
  /** The transaction verb if the text is one single transaction statement. */
  readonly transaction: TransactionVerb | undefined;
  /** Some statement in it ends a transaction (COMMIT, END, PREPARE TRANSACTION, COMMIT PREPARED), or can (CALL, DO). */
  readonly mayCommit: boolean;
  /** Any statement in it starts a transaction block. */
  readonly begins: boolean;
  readonly beginsReadOnly: boolean;
  /** REPEATABLE READ or SERIALIZABLE asked for in it. */
  readonly isolatesSnapshot: boolean;
  readonly effects: SessionEffects;
  /** currval() and lastval() may answer for it afterwards, whether it fails or not. */
  readonly mayAdvanceSequences: boolean;
  /** It calls currval() or lastval(), or what it runs does. */
  readonly asksSequences: boolean;
  /** It calls them by itself: its client asks for what an earlier statement has advanced, and may do so again. */
  readonly asksByName: boolean;
  /** COPY FROM STDIN is in it, or may be. */
  readonly mayCopyIn: boolean;
  /** It reads pg_prepared_statements, or what it runs does. */
  readonly showsNames: boolean;
  /** It calls functions that take the pid of a server, which the client may know by another number. */
  readonly namesPid: boolean;
  /** Custom settings ("app.x") in it; undefined: none. */
  readonly customSettings: CustomSettings | undefined;
  /** What is sent behind it before its outcome is known may mean other relations than it does now. */
  readonly changesReading: boolean;
  /** Nothing in `effects`: the common case, checked with one load. */
  readonly hasEffects: boolean;
}

export interface Binder {
  /**
   * The plan of `facts` for one catalog and search path. Cached by (facts, catalog, searchPath); never throws.
   * `searchPath` is the text PostgreSQL prints for search_path (e.g. `"$user", public`); undefined: the default one.
   * Without a catalog nothing is a read.
   */
  bind(facts: QueryFacts, catalog: Catalog | undefined, searchPath: string | undefined, user: string): Plan;
  /** A replica answered 25006 to this template: from now on it is a write. */
  learnWrite(facts: QueryFacts): void;
}
