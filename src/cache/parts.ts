/**
 * Options of the cache, and the parts that tests replace: a transport in memory, a weak hash, or a rule switched off
 * to prove that it is needed. Production code passes options only.
 */
import type { CacheSettings } from '../config/config.ts';
import type { Log } from '../observability/types.ts';
import type { FlightPlan } from './flights.ts';
import type { PeersDdl, SharedStampsOptions } from './shared-stamps.ts';
import type { TagState } from './tag-state.ts';
import type { TagSet } from './tags.ts';
import type { Transport } from './transport.ts';
import type { KeyParts } from './types.ts';

/**
 * Resolves when all other workers of this Weir know of the write with that token, or of its end; undefined: it matters to none of
 * them. Never rejects.
 */
export type KnownToWorkers = (token: string, changesCatalog: boolean) => Promise<void> | undefined;

export interface CacheOptions {
  readonly settings: CacheSettings;
  readonly log: Log;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** Unique among all Weirs; by default random. */
  readonly instanceId?: string;
  /** See SharedStampsOptions. */
  readonly peersDdl?: (prefix: string | undefined, about: PeersDdl) => void;
  /** In a worker: makes the Transport to the store of all workers, which is used without Redis. */
  readonly shareWithWorkers?: ((instanceId: string) => Transport) | undefined;
  /** In a worker: see KnownToWorkers. */
  readonly knownToWorkers?: KnownToWorkers | undefined;
}

export interface CacheParts extends PeerRules {
  readonly transport: Transport | undefined;
  readonly fullKey: (key: KeyParts) => string;
  readonly hashKey: (bytes: Buffer) => string;
  readonly mayJoin: (plan: FlightPlan, set: TagSet) => boolean;
  readonly isCurrent: (states: readonly TagState[], stamps: readonly number[]) => boolean;
  /** Cached answers are shown without a lease. */
  readonly ignoresLease: boolean;
  readonly ignoresFreshness: boolean;
  /** Answers are shown although writes around Weir are not known. */
  readonly ignoresCoverage: boolean;
  readonly random: () => number;
  readonly maxTags: number;
}

export interface PeersOptions extends SharedStampsOptions {
  readonly transport: Transport;
  readonly log: Log;
  readonly settings: CacheSettings;
  readonly knownToWorkers?: KnownToWorkers | undefined;
  /** Everything learned from Redis is void: empty level 1. */
  forget(): void;
  /** Changes the number of writes of unknown outcome by `change`. */
  undecided(change: 1 | -1): void;
  readonly rules: PeerRules;
}

/** Rules that a test can switch off, to prove that they are needed. All false in production. */
export interface PeerRules {
  readonly ignoresGaps: boolean;
  readonly keepsTrust: boolean;
  /** A lease is taken although a member is missing. */
  readonly ignoresMissing: boolean;
  /** A lease is taken before the messages have arrived that were published before it. */
  readonly ignoresUnheard: boolean;
  /** A write that cannot be announced does not wait for the end of the others' leases. */
  readonly ignoresOthersLeases: boolean;
  /** The open writes of Weirs that are gone are forgotten. */
  readonly ignoresOrphans: boolean;
}

export const allRules = {
  ignoresGaps: false,
  keepsTrust: false,
  ignoresLease: false,
  ignoresMissing: false,
  ignoresUnheard: false,
  ignoresOthersLeases: false,
  ignoresOrphans: false,
  ignoresFreshness: false,
  ignoresCoverage: false,
} as const;
