/**
 * Answers in Redis, shared by all Weirs: finds one under exactly the current stamps, or stores one. A value counts
 * only if its full key is the same and it is as a Weir has stored it (entry-format.ts); any other value is a miss and
 * is removed. cache.ts decides whether an answer may be shown, as for level 1.
 */
import type { AnswerForm } from '../protocol/whole-answer.ts';
import { decodeEntry, encodeEntry } from './entry-format.ts';
import type { FlightPlan } from './flights.ts';
import { keyBytes } from './key.ts';
import type { CacheOptions } from './parts.ts';
import type { Peers } from './peers.ts';
import { makeEntry, stampsOf } from './store.ts';
import type { Entry } from './store.ts';
import { storeWords } from './store-words.ts';
import type { TagSet } from './tags.ts';
import { stampText } from './transport.ts';
import type { ReadReply } from './transport.ts';

export interface SecondLevelOptions {
  readonly peers: Peers;
  readonly cache: CacheOptions;
  hashKey(bytes: Buffer): string;
}

export type Found = 'closed' | 'unreachable' | { readonly entry: Entry | undefined };

/** Redis's time to live of a key that never expires. Weir stores no such key. */
const endless = -1;
/** Minimum time between log lines, because another program may write any number of wrong entries. */
const complaintEveryMs = 60_000;

export class SecondLevel {
  private readonly options: SecondLevelOptions;
  /** Values that no Weir of this version can have stored. */
  malformed = 0;
  private complainAgainMs = -Infinity;

  constructor(options: SecondLevelOptions) {
    this.options = options;
  }

  /** Looks an answer up. Also updates and confirms the stamps of the tags. */
  async find(full: string, form: AnswerForm | undefined, set: TagSet): Promise<Found> {
    const key = keyBytes(full);
    const name = this.options.hashKey(key);
    const reply = await this.options.peers.ask(set, name);
    if (reply === undefined) return 'unreachable';
    const entry = this.decode(full, key, form, set, reply);
    if (entry === 'malformed') this.remove(name);
    if (reply.isClosed) return 'closed';
    return { entry: entry === 'malformed' ? undefined : entry };
  }

  /** Stores an answer. @returns false if a stamp has changed or a tag is closed in Redis, or Redis cannot be asked */
  async keep(plan: FlightPlan, parts: readonly Buffer[], ttlMs: number): Promise<boolean> {
    const { peers, hashKey } = this.options;
    if (!peers.isUsable) return false;
    const key = keyBytes(plan.key);
    const payload = encodeEntry(stampText(peers.currentIncarnation, plan.remotes), key, ttlMs, parts);
    return peers.save(plan.set, plan.remotes, hashKey(key), payload, ttlMs);
  }

  /**
   * @returns an entry of level 1; undefined if there is none, or it has another key, is too large, or its stamps are
   * out of date
   */
  private decode(
    full: string,
    key: Buffer,
    form: AnswerForm | undefined,
    set: TagSet,
    reply: ReadReply,
  ): Entry | 'malformed' | undefined {
    if (reply.entry === 'foreign') return 'malformed';
    if (reply.entry === undefined) return undefined;
    const found = decodeEntry(reply.entry, stampText(reply.incarnation, reply.stamps), key, form);
    if (found === 'malformed' || reply.ttlMs === endless) return 'malformed';
    if (found === 'other' || found.answer.length > this.options.cache.settings.maxEntrySizeBytes || !(reply.ttlMs > 0))
      return undefined;
    const stamps = stampsOf(set);
    if (stamps === undefined || !set.states.every((state, i) => state.shared.value === reply.stamps[i]))
      return undefined;
    const now = this.options.cache.now();
    const ageMs = Math.max(0, found.ttlMs - reply.ttlMs);
    const expiresAtMs = now + Math.min(reply.ttlMs, this.options.cache.settings.ttlMs - ageMs);
    const { states } = set;
    return makeEntry(full, { states, stamps, order: 0, isWhole: false, filledAtMs: now - ageMs, expiresAtMs }, [
      found.answer,
    ]);
  }

  /** Removes a malformed entry, because each look-up would fetch it again. */
  private remove(name: string): void {
    const { peers, cache } = this.options;
    const { log, now } = cache;
    this.malformed++;
    peers.remove(name);
    if (now() < this.complainAgainMs) return;
    this.complainAgainMs = now() + complaintEveryMs;
    const what = `${this.malformed} so far: damaged, or written by something else than a Weir of this version`;
    log(
      'warn',
      'cache_entry',
      `an entry in ${storeWords[peers.kind].store} is none and was removed (${what}); queries go to a database instead`,
    );
  }
}
