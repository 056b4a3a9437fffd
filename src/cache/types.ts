/**
 * The result cache as a session sees it. One per process, for all databases; made by cache/cache.ts.
 * Everything that a session calls is synchronous except an answer from the second level or another's flight.
 * Rules by number: docs of consistency.
 */
import type { Tag } from '../binding/plan.ts';
import type { Tick } from '../topology/types.ts';

/** Clock of the primary's WAL as the cache needs it; the database's LsnTicker satisfies it. */
export interface TickSource {
  next(): Tick;
  lsnOf(tick: Tick): number | undefined;
}

/** Everything that can change the bytes of an answer. Buffers are compared byte by byte on a hit (rule 9). */
export interface KeyParts {
  readonly database: string;
  readonly user: string;
  /** Canonical text of every tracked setting of the session that is not known to be neutral. */
  readonly settings: string;
  /** 'Q' for simple, otherwise which messages are answered: e.g. "PBDE" (Parse, Bind, Describe portal, Execute); without Parse, the result type too. */
  readonly shape: string;
  /** Statement text as sent; comments are taken out by the key. */
  readonly sql: Buffer;
  /** Parameter types of Parse as sent (raw bytes), then Bind's formats, values and result formats (raw bytes). */
  readonly types: Buffer | undefined;
  readonly bind: Buffer | undefined;
}

/** What a session must not go behind: rule 12 and its own writes. Owned by the session, kept by the cache. */
export interface SessionFreshness {
  /** Opaque; created by `newFreshness`, updated by `noteRead` and `committed`. */
  readonly brand: 'freshness';
  /** After an own write, until `proven()`: nothing older is shown, whatever it depends on (topology's SchemaClock). */
  readonly isUnproven: boolean;
  proven(): void;
}

/** The right to store one answer: made before its query is sent (rule 1). */
export interface Flight {
  /** Number of replicas' WAL to have been replayed for the fill to be sound (rule 3); undefined: primary only for now. */
  needLsn(): number | undefined;
  /** The complete, error-free, notice-free answer; `parts` are the frames in order. Stored only if still sound. */
  store(parts: readonly Buffer[], bytes: number, isFromPrimary?: boolean): void;
  /** The answer was not storable (error, notice, too large, cut off): others stop waiting and go on by themselves. */
  abandon(): void;
}

export type Lookup =
  | { readonly kind: 'hit'; readonly parts: readonly Buffer[]; readonly level: 1 | 2 }
  /** Go and ask; if `flight` is given, offer it the answer. */
  | { readonly kind: 'miss'; readonly flight: Flight | undefined; readonly why: string }
  /** Somebody else is asking already, or the second level is being asked: the promise resolves to one of the above. */
  | { readonly kind: 'wait'; readonly result: Promise<Lookup> };

/** Where a write runs: a Weir that outlives this one asks that server about it. */
export interface Backend {
  readonly node: { readonly host: string; readonly port: number };
  readonly processId: number;
}

/** Tags closed from before COMMIT until its outcome is known (rule 2). */
export interface WriteGuard {
  /** Resolves, soon in any case, when the other Weirs can know that the tags are closed; undefined: nobody to tell. */
  readonly announced: Promise<void> | undefined;
  /**
   * Something of it was committed, and more of it may be: no replica answers with less from now on; stays closed.
   * @param source whose tick that is
   */
  acknowledged(tick: Tick, source: TickSource): void;
  /** Acknowledged: bump, then open. Also updates the session's freshness. */
  committed(tick: Tick, source: TickSource): void;
  /** Certainly not committed: open without a bump. */
  rolledBack(): void;
  /** Connection lost before the answer: stays closed until that is decided, then bump and open. */
  unknown(whenDecided: Promise<void>): void;
}

/** Writes, through any Weir, that were between their close and their outcome at one moment. */
export interface UnderWay {
  readonly tags: readonly Tag[];
  isOver(): boolean;
  /** Calls `then` once when all of them have their outcome, never at once. Returns how to stop waiting for that. */
  whenOver(then: () => void): () => void;
}

/** Resolves when what the backend was doing is committed or never will be, perhaps never. */
export type WhenGone = (backend: Backend) => Promise<void>;

export interface ResultCache {
  readonly isEnabled: boolean;
  /** Other Weirs may share it: writes are announced before they are sent. */
  readonly hasPeers: boolean;
  newFreshness(): SessionFreshness;
  /**
   * A database (by its catalog.tagPrefix) whose tags this cache will see: its clock for bumps that peers announce, and whom to
   * ask about the writes of peers that are gone.
   */
  attach(prefix: string, ticks: TickSource, whenGone?: WhenGone): void;
  /**
   * @param tags everything the answer depends on, user tags included
   * @param ttlMs upper bound of its life, Infinity = none beyond cache.ttl
   * @param isStrict nothing that anybody was told is committed may be missing: each answer is confirmed by Redis
   */
  lookup(
    key: KeyParts,
    tags: readonly Tag[],
    ttlMs: number,
    freshness: SessionFreshness,
    ticks: TickSource,
    isStrict?: boolean,
  ): Lookup;
  /** An answer that depends on these tags came from a database, not the cache (rule 12). */
  noteRead(tags: readonly Tag[], freshness: SessionFreshness): void;
  /** Before COMMIT (or an autocommit write, or Sync) is forwarded. `all`: everything in the database of `prefix`. */
  close(tags: readonly Tag[], all: boolean, prefix: string, freshness: SessionFreshness, backend?: Backend): WriteGuard;
  /** The writes to these tags that are under way now; undefined: none. */
  underWay(tags: readonly Tag[]): UnderWay | undefined;
  /**
   * Newest tick of `source` at which one of the tags was written through any Weir, 0 = never (rule 3). `isCertain`: without
   * writes that nobody knows of, and that only cannot be ruled out.
   */
  lastWrite(tags: readonly Tag[], source: TickSource, isCertain?: boolean): Tick;
  /** The same for anything in the database of `prefix`: for transactions of which nobody knows what they will read. */
  lastWriteInDatabase(prefix: string, source: TickSource, isCertain?: boolean): Tick;
  /** Operators: `weir invalidate`; or since the catalog is another. Resolves when every reachable Weir was told. */
  invalidate(tags: readonly Tag[], by?: 'operator' | 'catalog'): Promise<void>;
  invalidateAll(): Promise<void>;
  stats(): CacheStats;
  start(): Promise<void>;
  stop(): Promise<void>;
}

export interface PeerFigures {
  /** Writes that had to wait for the end of the other Weirs' leases, and writes that went on without Redis's knowing. */
  readonly writesHeld: number;
  readonly writesUnannounced: number;
  /** Connections to Redis that were lost or given up. */
  readonly redisLosses: number;
  /** Why Redis is down, or which of its settings makes it lose what is kept there. */
  readonly redisProblem: string | undefined;
}

export interface CacheStats extends PeerFigures {
  readonly entries: number;
  readonly bytes: number;
  readonly maxBytes: number;
  readonly hits: number;
  readonly hitsSecondLevel: number;
  readonly misses: number;
  readonly stores: number;
  readonly evictions: number;
  /** Entries in Redis that were none: taken for misses, and removed. */
  readonly malformed: number;
  /** By source: local, peer, operator, catalog, gap. */
  readonly invalidations: Readonly<Record<string, number>>;
  /** Cached answers may be shown: always without Redis. */
  readonly hasLease: boolean;
  /** Writes of unknown outcome: their tables stay closed. */
  readonly undecided: number;
  /** 'off' (not configured), 'up', 'down'. */
  readonly redis: 'off' | 'up' | 'down';
}
