/**
 * The interface of the result cache for sessions. One cache per process, for all databases; made by cache/cache.ts.
 * All calls are synchronous, except for an answer from the second level or from another session's flight. The rules
 * are numbered in docs/consistency.md.
 */
import type { Tag } from '../binding/plan.ts';
import type { Tick } from '../topology/types.ts';

/** The part of LsnTicker that the cache needs (topology/types.ts). */
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
  /**
   * 'Q' for a simple query, else one letter per message: "PBDE" is Parse, Bind, Describe of the portal, Execute.
   * Without Parse, followed by the result type.
   */
  readonly shape: string;
  /** Statement text as sent; fullKey() removes comments. */
  readonly sql: Buffer;
  /** `types`: parameter types as in Parse. `bind`: formats, values and result formats as in Bind. Raw bytes. */
  readonly types: Buffer | undefined;
  readonly bind: Buffer | undefined;
}

/** How old an answer may be for a session: rule 12 and its own writes. Owned by the session, changed by the cache. */
export interface SessionFreshness {
  /** Opaque; created by `newFreshness`, updated by `noteRead` and `committed`. */
  readonly brand: 'freshness';
  /** After a write of its own, until `proven()`: no older answer is shown, whatever it depends on (see SchemaClock). */
  readonly isUnproven: boolean;
  proven(): void;
}

/** The permission to store one answer; made before its query is sent (rule 1). */
export interface Flight {
  /**
   * LSN that a replica must have replayed for its answer to be stored (rule 3); undefined: not known yet, only the
   * primary.
   */
  needLsn(): number | undefined;
  /**
   * Offers the complete answer, without errors or notices; `parts` are its messages in order. Stored only if that is
   * still correct.
   */
  store(parts: readonly Buffer[], bytes: number, isFromPrimary?: boolean): void;
  /**
   * The answer cannot be stored (error, notice, too large, incomplete): sessions that wait for it ask the database
   * themselves.
   */
  abandon(): void;
}

export type Lookup =
  | { readonly kind: 'hit'; readonly parts: readonly Buffer[]; readonly level: 1 | 2 }
  /** Ask the database; if there is a `flight`, offer it the answer. */
  | { readonly kind: 'miss'; readonly flight: Flight | undefined; readonly why: string }
  /** Another session or the second level is being asked: the promise resolves to a hit or a miss. */
  | { readonly kind: 'wait'; readonly result: Promise<Lookup> };

/** Where a write runs, so that another Weir can ask that server about it if this one is gone. */
export interface Backend {
  readonly node: { readonly host: string; readonly port: number };
  readonly processId: number;
}

/** Tags closed from before COMMIT until its outcome is known (rule 2). */
export interface WriteGuard {
  /**
   * Resolves, after a limited time, when the other Weirs can know that the tags are closed; undefined: there is no
   * other Weir.
   */
  readonly announced: Promise<void> | undefined;
  /**
   * Part of the write was committed, and more may follow: from now on no replica answers with older data, and the other
   * Weirs are told so. The tags stay closed.
   * @param source the ticker that gave out `tick`
   */
  acknowledged(tick: Tick, source: TickSource): void;
  /** The write was committed: bumps the tags, then opens them. Also updates the session's freshness. */
  committed(tick: Tick, source: TickSource): void;
  /**
   * Resolves when the other workers of this Weir know of what was acknowledged or committed last: the client must not be answered
   * before. Undefined: it need not wait. Never rejects.
   */
  readonly knownToWorkers: Promise<void> | undefined;
  /** The write was certainly not committed: opens the tags without a bump. */
  rolledBack(): void;
  /**
   * The connection was lost before the answer: the tags stay closed until `whenDecided`, then are bumped and opened.
   */
  unknown(whenDecided: Promise<void>): void;
}

/** Writes of any Weir that were between close and outcome at one moment. */
export interface UnderWay {
  readonly tags: readonly Tag[];
  isOver(): boolean;
  /** Calls `then` once, asynchronously, when all of them have their outcome. Returns the function that cancels this. */
  whenOver(then: () => void): () => void;
}

/** Resolves when the backend's transaction is committed or never will be; may never resolve. */
export type WhenGone = (backend: Backend) => Promise<void>;

export interface ResultCache {
  readonly isEnabled: boolean;
  /** The cache is shared with other Weirs through Redis: writes are announced before they are sent. */
  readonly hasPeers: boolean;
  newFreshness(): SessionFreshness;
  /**
   * The session comes from another process: no answer is shown to it that was asked for before this moment.
   * @param isUnproven as it was there
   */
  arrive(freshness: SessionFreshness, isUnproven: boolean): void;
  /**
   * Registers a database by its catalog.tagPrefix.
   * @param ticks its ticker, for writes that other Weirs announce
   * @param whenGone waits for the end of a backend, for writes of Weirs that are gone
   */
  attach(prefix: string, ticks: TickSource, whenGone?: WhenGone): void;
  /**
   * @param tags everything the answer depends on, user tags included
   * @param ttlMs limit of its time to live; Infinity: only cache.ttl
   * @param isStrict no commit that any client knows of may be missing: Redis confirms each answer
   * @param stretch an answer is shown for this many times its time to live; 1: not beyond it
   */
  lookup(
    key: KeyParts,
    tags: readonly Tag[],
    ttlMs: number,
    freshness: SessionFreshness,
    ticks: TickSource,
    isStrict?: boolean,
    stretch?: number,
  ): Lookup;
  /** Notes that an answer with these tags came from a database instead of the cache (rule 12). */
  noteRead(tags: readonly Tag[], freshness: SessionFreshness): void;
  /**
   * Closes the tags before a COMMIT, an autocommit write or a Sync is sent. @param all close everything in the
   * database of `prefix`; if that is '', in all databases
   */
  close(tags: readonly Tag[], all: boolean, prefix: string, freshness: SessionFreshness, backend?: Backend): WriteGuard;
  /** Resolves when that write of another worker, or the end of it, is known here, or nothing is shown that it makes out of date. */
  heardOf(token: string): Promise<void>;
  /** @returns the writes to these tags that are in progress; undefined: none */
  underWay(tags: readonly Tag[]): UnderWay | undefined;
  /**
   * @param isCertain only known writes, without those that merely cannot be ruled out
   * @returns the newest tick of `source` at which one of the tags was written through any Weir (rule 3); 0: never
   */
  lastWrite(tags: readonly Tag[], source: TickSource, isCertain?: boolean): Tick;
  /** The same for anything in the database of `prefix`, for a transaction that may read any table. */
  lastWriteInDatabase(prefix: string, source: TickSource, isCertain?: boolean): Tick;
  /**
   * Invalidates answers with these tags, for `weir invalidate` or after a change of the catalog. Resolves when Redis
   * was told, or after a limited time.
   * @param patterns of tags of clients (tag-pattern.ts)
   */
  invalidate(tags: readonly Tag[], by?: InvalidatedBy, patterns?: readonly string[]): Promise<Invalidated>;
  invalidateAll(): Promise<Invalidated>;
  /**
   * Writes around Weir to these tables of a database, and to no others, are known well enough for answers to be shown until
   * `untilMs`. With cache.out_of_band_writes, nothing is shown before the first such word.
   */
  cover(prefix: string, untilMs: number, tables: ReadonlySet<Tag>): void;
  /** @param share of cache.max_memory that answers may use from now on. @returns the bytes given back */
  keepShare(share: number): number;
  stats(): CacheStats;
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** Who asked for an invalidation that is no write through Weir. 'around': it was written without Weir. */
export type InvalidatedBy = 'operator' | 'catalog' | 'around' | 'http';

export interface Invalidated {
  /** Tables and tags of clients; with patterns, those that match in this process or are known to the store that is shared. */
  readonly tags: number;
  /** Answers that were removed from the memory of this process. */
  readonly entries: number;
}

export interface PeerFigures {
  /** Writes that waited for the end of the other Weirs' leases, and writes sent without an announcement in Redis. */
  readonly writesHeld: number;
  readonly writesUnannounced: number;
  /** Connections to Redis that were lost or closed because of a problem. */
  readonly redisLosses: number;
  /** Why Redis is down, or which of its settings makes it lose data. */
  readonly redisProblem: string | undefined;
  /** Why the workers of this Weir cannot share stamps through their supervisor. */
  readonly workersProblem: string | undefined;
}

/** 'off': not used. 'down': not in step with it, so nothing is cached. */
export type StoreState = 'off' | 'up' | 'down';

export interface CacheStats extends PeerFigures {
  /** cache.enabled. Stores are shared also without it, for what others have written. */
  readonly isEnabled: boolean;
  readonly entries: number;
  readonly bytes: number;
  readonly maxBytes: number;
  readonly hits: number;
  readonly hitsSecondLevel: number;
  readonly misses: number;
  readonly stores: number;
  readonly evictions: number;
  /** Invalid values in Redis: counted as misses, and removed. */
  readonly malformed: number;
  /** By source: local, peer, operator, catalog, around, gap, sql, http. */
  readonly invalidations: Readonly<Record<string, number>>;
  /** Cached answers may be shown: always if no store is shared. */
  readonly hasLease: boolean;
  /** Writes of unknown outcome: their tables stay closed. */
  readonly undecided: number;
  readonly redis: StoreState;
  /** The supervisor's memory, which the workers of one Weir share without Redis. */
  readonly workers: StoreState;
}
