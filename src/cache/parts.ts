/**
 * What a cache is made of: its options, and the pieces that tests exchange (a transport in memory, a weak hash, or one
 * rule taken out to prove that it is needed). Production code passes options only. Types only.
 */
import type { CacheSettings } from '../config/config.ts';
import type { Log } from '../observability/types.ts';
import type { FlightPlan } from './flights.ts';
import type { MirrorOptions } from './mirror.ts';
import type { TagSet, TagState } from './tags.ts';
import type { Transport } from './transport.ts';
import type { KeyParts } from './types.ts';

export interface CacheOptions {
  readonly settings: CacheSettings;
  readonly log: Log;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** Unique among all Weirs; random unless given. */
  readonly instanceId?: string;
}

export interface CacheParts {
  readonly transport: Transport | undefined;
  readonly fullKey: (key: KeyParts) => string;
  readonly hashKey: (bytes: Buffer) => string;
  readonly mayJoin: (plan: FlightPlan, set: TagSet) => boolean;
  readonly isCurrent: (states: readonly TagState[], stamps: readonly number[]) => boolean;
  readonly ignoresGaps: boolean;
  readonly keepsTrust: boolean;
  readonly ignoresFreshness: boolean;
  readonly random: () => number;
  readonly maxTags: number;
}

export interface PeersOptions extends MirrorOptions {
  readonly transport: Transport;
  readonly log: Log;
  /** Everything learned is void: empty level 1. */
  forget(): void;
  /** Rules taken out by tests that prove them necessary. */
  readonly ignoresGaps: boolean;
  readonly keepsTrust: boolean;
}
