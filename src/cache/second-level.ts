/**
 * Answers in Redis, shared by all Weirs: finds one under exactly the current stamps, or keeps one. What comes back is
 * trusted only if its full key is the same; whether it may be shown is decided by cache.ts, as for level 1.
 */
import { decodeEntry, encodeEntry } from './entry-format.ts';
import type { FlightPlan } from './flights.ts';
import { keyBytes } from './key.ts';
import type { Peers } from './peers.ts';
import { makeEntry, stampsOf, sumOf } from './store.ts';
import type { Entry } from './store.ts';
import type { TagSet } from './tags.ts';
import { stampText } from './transport.ts';
import type { ReadReply } from './transport.ts';

export interface SecondLevelOptions {
  readonly peers: Peers;
  readonly ttlMs: number;
  readonly maxEntryBytes: number;
  hashKey(bytes: Buffer): string;
  now(): number;
}

export type Found = 'closed' | 'unreachable' | { readonly entry: Entry | undefined };

export class SecondLevel {
  private readonly options: SecondLevelOptions;

  constructor(options: SecondLevelOptions) {
    this.options = options;
  }

  /** Also brings the tags' stamps up to date and confirms them. */
  async find(full: string, set: TagSet): Promise<Found> {
    const key = keyBytes(full);
    const reply = await this.options.peers.ask(set, this.options.hashKey(key));
    if (reply === undefined) return 'unreachable';
    return reply.isClosed ? 'closed' : { entry: this.decode(full, key, set, reply) };
  }

  /** Redis refuses it if a stamp has changed or a tag is closed there; false also if it cannot be asked. */
  async keep(plan: FlightPlan, parts: readonly Buffer[], ttlMs: number): Promise<boolean> {
    const { peers, hashKey } = this.options;
    if (!peers.isUsable) return false;
    const key = keyBytes(plan.key);
    const payload = encodeEntry(stampText(peers.currentIncarnation, plan.remotes), key, ttlMs, parts);
    return peers.save(plan.set, plan.remotes, hashKey(key), payload, ttlMs);
  }

  /** As an entry of level 1; undefined if it is another key's, too large, nonsense, or of other stamps by now. */
  private decode(full: string, key: Buffer, set: TagSet, reply: ReadReply): Entry | undefined {
    if (reply.entry === undefined || !(reply.ttlMs > 0)) return undefined;
    const stamps = stampsOf(set);
    if (stamps === undefined || !set.states.every((state, i) => state.remote === reply.stamps[i])) return undefined;
    const found = decodeEntry(reply.entry, stampText(reply.incarnation, reply.stamps), key);
    if (found === undefined || sumOf(found.parts) > this.options.maxEntryBytes) return undefined;
    const now = this.options.now();
    const ageMs = Math.max(0, found.ttlMs - reply.ttlMs);
    const expiresAtMs = now + Math.min(reply.ttlMs, this.options.ttlMs - ageMs);
    const { states } = set;
    return makeEntry(
      full,
      { states, stamps, order: 0, isWhole: false, filledAtMs: now - ageMs, expiresAtMs },
      found.parts,
    );
  }
}
