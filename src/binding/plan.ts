/**
 * The Plan of a query text: what it may do, where it may run, which tables its answer depends on. Routing, cache and
 * session decide by it; `weir explain` prints it. Types only; plans are made by binding/binder.ts.
 */
import type { QueryFacts, SettingChange, TransactionVerb } from '../sql/facts.ts';
import type { Catalog } from '../catalog/types.ts';
import type { CustomSettings } from './settings.ts';
import type { PinReason } from './session-state.ts';

/**
 * Cache tag: `<prefix>r<oid>` for a table (OID of the root of its partition tree), `<prefix>cat` for the catalog,
 * `<prefix>all` for writes to unknown tables, `t:<name>` for a tag that a client named. The prefix is Catalog.tagPrefix.
 */
export type Tag = string;

export type { PinReason };

/** What a text changes in the state of its session on the server, if it succeeds. */
export interface SessionEffects {
  readonly settings: readonly SettingChange[];
  readonly resetsAll: boolean;
  readonly discards: 'all' | 'plans' | 'temp' | 'sequences' | undefined;
  readonly pins: readonly PinReason[];
  /** Reasons that end: by UNLISTEN *, DEALLOCATE ALL, CLOSE ALL, pg_advisory_unlock_all() ... */
  readonly unpins: readonly PinReason[];
  /** Reasons that end unless another object of the kind is left: by DROP, CLOSE name, UNLISTEN name, pg_advisory_unlock(). */
  readonly mayEnd: readonly PinReason[];
  /** Name of the prepared statement that it deallocates; '' for ALL. */
  readonly deallocates: string | undefined;
  /** It may change session state in ways that the text does not show (DO, CALL, volatile user functions):
   *  the server is reset before another client gets it. */
  readonly isSuspect: boolean;
}

export interface Plan {
  readonly facts: QueryFacts;
  readonly catalog: Catalog | undefined;
  /** Every statement is known to write nothing and to do the same on a hot standby as on the primary. */
  readonly isRead: boolean;
  /** In a READ ONLY transaction, the text has the same effect and result on a hot standby as on the primary. True for reads. */
  readonly isAlikeOnStandby: boolean;
  /** Why it is a read or not: "read", "writes public.users", "calls volatile nextval()", "not parsed: ...". */
  readonly why: string;
  /** A single SELECT that answers with rows: it may be pipelined on one server with other clients' reads. */
  readonly isPlainRead: boolean;
  /** Tags of the tables that it may write. */
  readonly writes: readonly Tag[];
  /** Which tables it writes is not known, so it counts as a write to every table. */
  readonly writesAll: boolean;
  readonly changesCatalog: boolean;
  /** Tags of what the answer of a read depends on, with the tag of the catalog. Empty if it names nothing of the catalog. */
  readonly reads: readonly Tag[];
  readonly isCacheable: boolean;
  /** Why it is not cacheable; "" if it is. */
  readonly cacheWhy: string;
  /** The transaction statement that the text consists of, if it is a single one. */
  readonly transaction: TransactionVerb | undefined;
  /** Some statement in it ends a transaction (COMMIT, END, PREPARE TRANSACTION, COMMIT PREPARED), or can (CALL, DO). */
  readonly mayCommit: boolean;
  /** Some statement in it starts a transaction block. */
  readonly begins: boolean;
  /** A single BEGIN READ ONLY, below SERIALIZABLE: the transaction may run on a standby. */
  readonly beginsReadOnly: boolean;
  /** It sets REPEATABLE READ or SERIALIZABLE. */
  readonly isolatesSnapshot: boolean;
  readonly effects: SessionEffects;
  /** It may advance a sequence, and so change what currval() and lastval() return; also if it fails. */
  readonly mayAdvanceSequences: boolean;
  /** It calls currval() or lastval(), itself or in a function that it runs. */
  readonly asksSequences: boolean;
  /** The text itself calls currval() or lastval(), so the client may well do so again after later statements. */
  readonly asksByName: boolean;
  /** It may contain a COPY FROM STDIN. */
  readonly mayCopyIn: boolean;
  /** It reads pg_prepared_statements, itself or in a view or function. */
  readonly showsNames: boolean;
  /** It calls functions that take the process ID of a backend; the client may know that backend by another number. */
  readonly namesPid: boolean;
  /** Custom settings ("app.x") in it; undefined: none. */
  readonly customSettings: CustomSettings | undefined;
  /** It may change how later texts are resolved: those sent before its outcome is known must be planned again. */
  readonly changesReading: boolean;
  /** `effects` is not empty, or may not be once parameters are bound. One flag, because most plans have none. */
  readonly hasEffects: boolean;
}

export interface Binder {
  /**
   * The plan of `facts` for one catalog, search path and user. Cached; never throws. Without a catalog nothing is a read.
   * @param searchPath as SHOW search_path prints it (`"$user", public`); undefined: the default of a new session
   * @param user the effective role
   */
  bind(facts: QueryFacts, catalog: Catalog | undefined, searchPath: string | undefined, user: string): Plan;
  /**
   * The plan after DDL, while the catalog is being read again. Nothing is a read; a statement that may change the session in
   * an unknown way pins the server.
   * @param last the catalog before the DDL; undefined: the DDL is in the session's own open transaction
   */
  bindAfterDdl(facts: QueryFacts, last: Catalog | undefined, searchPath: string | undefined, user: string): Plan;
  /** From now on, a missing function does not pin: the catalog was read again and does not have the function either. */
  learnUnknown(facts: QueryFacts): void;
  /** Plans this template as a write from now on: a replica refused it with SQLSTATE 25006. */
  learnWrite(facts: QueryFacts): void;
}
