/**
 * What the cache needs of Redis, as an interface: commands that are each atomic there and are carried out in the
 * order in which they were called, and a stream of messages. redis.ts is the real one; tests have one in memory.
 */
import type { Tag } from '../binding/plan.ts';

export interface TransportEvents {
  /** Commands can be sent and the subscription stands: nothing published from now on is missed. */
  onConnected(): void;
  /** Commands not answered yet are lost, and messages may be. The transport tries again by itself. */
  onLost(why: string): void;
  onMessage(text: string): void;
}

export interface HelloRequest {
  /** A new incarnation first, which voids every stamp and entry of the old. */
  readonly rotate: boolean;
  /** `echo` of the last answer that arrived, '' = none yet: it shows until when the asker has heard Redis. */
  readonly echo: string;
  /** A member not heard of for so long is missing: until it is back nobody is granted a lease. */
  readonly leaseMs: number;
  /** A member missing for longer is taken for gone. */
  readonly memberTimeoutMs: number;
  /** Of the last answer: Redis may have lost its memory. */
  readonly members: readonly string[];
  /** Tokens of all our open writes. Redis may think of more: their end was lost, or their beginning came late. */
  readonly open: readonly string[];
  /** Of earlier answers, and still undecided: Redis may have lost its memory. */
  readonly orphans: readonly Orphan[];
}

/** An open write of a Weir that is not heard of. */
export interface Orphan {
  readonly token: string;
  /** As it was given to `close`. */
  readonly note: string;
}

export interface HelloReply {
  readonly incarnation: string;
  /** Number of the last message published. */
  readonly messages: number;
  /** To be given back in the next request. */
  readonly echo: string;
  /** Cached answers may be shown for `leaseMs` from when this was asked for. */
  readonly isGranted: boolean;
  readonly leaseMs: number;
  readonly members: readonly string[];
  readonly missing: readonly string[];
  readonly orphans: readonly Orphan[];
  /** Those are all; otherwise nothing is granted. */
  readonly isWhole: boolean;
}

export interface ReadReply {
  readonly incarnation: string;
  /** Some tag is between a peer's (or our own) close and outcome. */
  readonly isClosed: boolean;
  /** One per tag asked for, same order. */
  readonly stamps: readonly number[];
  /** The entry under this name if it was stored under exactly these stamps; `foreign`: what is there is no Weir's. */
  readonly entry: Buffer | 'foreign' | undefined;
  /** What is left of the entry's life; -1 = it never ends. */
  readonly ttlMs: number;
}

export interface OpenReply {
  readonly incarnation: string;
  readonly stamps: readonly number[];
}

/** Every promise rejects if the connection is lost before the answer, or the answer makes no sense. */
export interface Transport {
  /** In words: why it cannot be used, or what setting of Redis is in its way. Absent: not known, or nothing. */
  readonly problem?: string | undefined;
  /** Starts connecting; does not wait. */
  start(events: TransportEvents): void;
  /** The current incarnation and, if all members are there, a lease. */
  hello(request: HelloRequest): Promise<HelloReply>;
  read(tags: readonly Tag[], entryName: string): Promise<ReadReply>;
  /**
   * Marks the tags closed until `open` with this token; without `note`, or until the marker lapses: then whoever reads bumps.
   * The note is for those who outlive us: an Orphan.
   */
  close(tags: readonly Tag[], token: string, note: string): Promise<string>;
  /** Gives the tags new stamps if `bump`, then takes the token's markers away. */
  open(tags: readonly Tag[], token: string, bump: boolean): Promise<OpenReply>;
  /** Stores if the stamps are still these and nothing is closed; says whether it did. */
  store(write: EntryWrite): Promise<boolean>;
  /** Removes what is there under this name. */
  remove(entryName: string): Promise<void>;
  /** Drop the connections and connect anew: soon, or ever later if what is there `isRefused`: it answers, but not as it should. */
  reset(why: string, isRefused: boolean): void;
  /** It has been in step for a while: the next refusal is the first again. */
  settled(): void;
  /** @param isLeaving this Weir has no write under way and owes no word of one: the others need not miss it */
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

/** How long a close marker counts without being renewed. */
export const markerMs = 10_000;

/** What an entry's value starts with: Redis gives it out only if its own stamps spell the same. */
export function stampText(incarnation: string, stamps: readonly number[]): string {
  return `${incarnation}|${stamps.join(',')}|`;
}
