/**
 * What the cache needs of a store that several Weirs share, as an interface: commands that are atomic and carried out in the
 * order of the calls, and a stream of messages. The store is Redis (redis.ts), or for the workers of one Weir the memory
 * of their supervisor (workers/stamp-transport.ts). Comments that say Redis mean either.
 */
import type { Tag } from '../binding/plan.ts';

export interface TransportEvents {
  /** Commands can be sent and the subscription is active: no message from now on is missed. */
  onConnected(): void;
  /** Unanswered commands are lost, and messages may be. The transport reconnects by itself. */
  onLost(why: string): void;
  onMessage(text: string): void;
}

export interface HelloRequest {
  /** Start a new incarnation first, which voids every stamp and entry of the old one. */
  readonly rotate: boolean;
  /** `echo` of the last answer that arrived; '': none yet. It proves up to when this Weir has received answers. */
  readonly echo: string;
  /** A member not heard of for this time is missing, and no member is granted a lease until it is back. */
  readonly leaseMs: number;
  /** A member missing for longer than this is gone. */
  readonly memberTimeoutMs: number;
  /** The members of the last answer, in case Redis has lost its data. */
  readonly members: readonly string[];
  /** Tokens of all open writes of this Weir. Redis may list more: their end was lost, or their beginning came late. */
  readonly open: readonly string[];
  /** Orphans of earlier answers that are still undecided, in case Redis has lost its data. */
  readonly orphans: readonly Orphan[];
}

/** An open write of a Weir that is not heard of. */
export interface Orphan {
  readonly token: string;
  /** The note passed to `close`. */
  readonly note: string;
}

export interface HelloReply {
  readonly incarnation: string;
  /** Number of the last message published. */
  readonly messages: number;
  /** To be sent with the next request. */
  readonly echo: string;
  /** Cached answers may be shown for `leaseMs`, counted from when the lease was requested. */
  readonly isGranted: boolean;
  readonly leaseMs: number;
  readonly members: readonly string[];
  readonly missing: readonly string[];
  readonly orphans: readonly Orphan[];
  /** `orphans` is complete; otherwise no lease is granted. */
  readonly isWhole: boolean;
}

export interface ReadReply {
  readonly incarnation: string;
  /** A tag is between close and outcome of a write of any Weir. */
  readonly isClosed: boolean;
  /** One per requested tag, in the same order. */
  readonly stamps: readonly number[];
  /** The entry of this name if it was stored under exactly these stamps; `foreign`: the value cannot be a Weir's. */
  readonly entry: Buffer | 'foreign' | undefined;
  /** Remaining time to live of the entry; -1: it never expires. */
  readonly ttlMs: number;
}

export interface OpenReply {
  readonly incarnation: string;
  readonly stamps: readonly number[];
}

/** Which store the Weirs share: Redis, or the supervisor's memory if they are the workers of one Weir. */
export type StoreKind = 'redis' | 'workers';

/** Every promise rejects if the connection is lost before the answer, or the answer is invalid. */
export interface Transport {
  readonly kind: StoreKind;
  /** Why the store cannot be used, or which of its settings is wrong, as text. Absent: not known, or no problem. */
  readonly problem?: string | undefined;
  /** Starts connecting; does not wait. */
  start(events: TransportEvents): void;
  /** @returns the current incarnation and, if all members are heard of, a lease */
  hello(request: HelloRequest): Promise<HelloReply>;
  read(tags: readonly Tag[], entryName: string): Promise<ReadReply>;
  /**
   * Marks the tags closed until `open` with this token or, without a `note`, until the marker lapses; then the next
   * reader bumps them. The note lets other Weirs find out the outcome if this one is gone (Orphan).
   */
  close(tags: readonly Tag[], token: string, note: string): Promise<string>;
  /** Gives the tags new stamps if `bump`, then removes the markers of the token. */
  open(tags: readonly Tag[], token: string, bump: boolean): Promise<OpenReply>;
  /** Stores the entry if its stamps are still current and no tag is closed. @returns true if it was stored */
  store(write: EntryWrite): Promise<boolean>;
  /**
   * @returns the tags of clients that match one of the patterns (tag-pattern.ts), each that an answer of any Weir may carry;
   * undefined: there are more than `most`
   */
  tagsLike(patterns: readonly string[], most: number): Promise<readonly Tag[] | undefined>;
  /** Removes the value of this name. */
  remove(entryName: string): Promise<void>;
  /** Closes the connections and reconnects: soon, or with growing delays if Redis answered but `isRefused`. */
  reset(why: string, isRefused: boolean): void;
  /** Weir has been in step for a while: the next refusal counts as the first again. */
  settled(): void;
  /** @param isLeaving no write of this Weir is open or unannounced, so the other Weirs need not wait for it */
  stop(isLeaving: boolean): Promise<void>;
}

export interface EntryWrite {
  readonly tags: readonly Tag[];
  readonly entryName: string;
  readonly incarnation: string;
  readonly stamps: readonly number[];
  readonly payload: Buffer;
  readonly ttlMs: number;
}

/** How long a close marker is valid without being renewed. */
export const markerMs = 10_000;

/**
 * Who has heard of a write reads its tables from no replica for so long, or until it hears of the end of the write. Much longer than
 * shortWriteMs, so that the message about the end of a short write arrives before.
 */
export const noReplicaMs = 2_000;
/** The client of a write that took longer is answered only when the other workers have heard of its end, too. */
export const shortWriteMs = 500;

/** @returns the beginning of an entry's value: Redis returns the entry only if its own stamps give the same text */
export function stampText(incarnation: string, stamps: readonly number[]): string {
  return `${incarnation}|${stamps.join(',')}|`;
}
