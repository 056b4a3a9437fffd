/**
 * The store that the workers of one Weir share without Redis, in the memory of their supervisor: the commands of scripts.ts
 * as methods, each atomic, with messages to all members. What Redis must check, because any program may write there, is not
 * checked here. Made by workers/stamps.ts, which carries commands, answers and messages; reached through
 * workers/stamp-transport.ts.
 */
import { LRUCache } from 'lru-cache';
import type { Tag } from '../binding/plan.ts';
import { OpenWrites, type OpenWritesState } from './open-writes.ts';
import { SharedMembers, type SharedMembersState } from './shared-members.ts';
import { SharedTags, type Renewed, type SharedTagsState } from './shared-tags.ts';
import { owned } from './store.ts';
import { markerMs, stampText } from './transport.ts';
import type { EntryWrite, HelloReply, HelloRequest, OpenReply, ReadReply } from './transport.ts';

export interface SharedMemoryOptions {
  /** Monotonic milliseconds. */
  now(): number;
  /** Unique among all memories that a worker can ever meet. */
  readonly name: string;
  /** Limit of the second level, in bytes. */
  readonly maxBytes: number;
  /** No worker that knows an earlier memory is running, so the first leases need not wait. */
  readonly isFirst: boolean;
  /** To all members, in this order. */
  publish(text: string): void;
  /** This memory goes on with it; `name` and `isFirst` must be those of the memory before. */
  readonly state?: SharedMemoryState | undefined;
}

/**
 * All but the second level, so that the same memory goes on in another process with the same clock. Survives a structured
 * clone.
 */
export interface SharedMemoryState {
  readonly bornMs: number;
  readonly incarnations: number;
  readonly messages: number;
  readonly writes: OpenWritesState;
  readonly tags: SharedTagsState;
  readonly members: SharedMembersState;
}

interface Stored {
  readonly payload: Buffer;
  readonly expiresAtMs: number;
}

/** Memory of an entry in addition to its payload, about, in bytes. */
const entryBytes = 500;

export class SharedMemory {
  private readonly options: SharedMemoryOptions;
  private readonly bornMs: number;
  private readonly writes: OpenWrites;
  private readonly tags: SharedTags;
  private readonly members: SharedMembers;
  private readonly entries: LRUCache<string, Stored>;
  private incarnation: string;
  private incarnations: number;
  private messages: number;

  constructor(options: SharedMemoryOptions) {
    this.options = options;
    const { name, isFirst, maxBytes, state } = options;
    this.incarnations = state?.incarnations ?? 1;
    this.messages = state?.messages ?? 0;
    this.incarnation = `${name}-${this.incarnations}`;
    this.bornMs = state?.bornMs ?? (isFirst ? -Infinity : options.now());
    this.writes = new OpenWrites(state?.writes);
    this.tags = new SharedTags((token) => this.writes.has(token), state?.tags);
    const { bornMs, writes } = this;
    this.members = new SharedMembers({ generation: name, writes, bornMs, state: state?.members });
    this.entries = new LRUCache({ maxSize: maxBytes, sizeCalculation: ({ payload }) => payload.length + entryBytes });
  }

  state(): SharedMemoryState {
    const { bornMs, incarnations, messages, writes, tags, members } = this;
    return {
      bornMs,
      incarnations,
      messages,
      writes: writes.state(),
      tags: tags.state(),
      members: members.state(),
    };
  }

  /** Another process goes on with its state, or nobody does. */
  clear(): void {
    this.entries.clear();
  }

  hello(from: string, request: HelloRequest): HelloReply {
    const { hasLost, ...granted } = this.members.hello(from, request, this.options.now());
    if (hasLost || request.rotate) this.rotate(from);
    return { incarnation: this.incarnation, messages: this.messages, ...granted };
  }

  read(from: string, tags: readonly Tag[], entryName: string): ReadReply {
    const { incarnation } = this;
    const { stamps, isClosed } = this.look(from, tags);
    const found = isClosed ? undefined : this.entries.get(entryName);
    const ttlMs = found === undefined ? 0 : found.expiresAtMs - this.options.now();
    const head = stampText(incarnation, stamps);
    const isFit = ttlMs > 0 && found?.payload.toString('latin1', 0, head.length) === head;
    return { incarnation, isClosed, stamps, entry: isFit ? found.payload : undefined, ttlMs: isFit ? ttlMs : 0 };
  }

  close(from: string, tags: readonly Tag[], token: string, note: string): string {
    if (note !== '') this.writes.add(from, token, note);
    this.look(from, tags);
    const deadlineMs = this.options.now() + markerMs;
    for (const tag of tags) this.tags.mark(tag, token, deadlineMs);
    this.say(from, { k: 'close', o: token, t: tags });
    return this.incarnation;
  }

  open(from: string, tags: readonly Tag[], token: string, bump: boolean): OpenReply {
    const nowMs = this.options.now();
    const renewed: Renewed = { tags: [], stamps: [] };
    const stamps = tags.map((tag) => {
      const { stamp } = this.tags.look(tag, nowMs, renewed);
      this.tags.unmark(tag, token);
      return bump ? this.tags.bump(tag) : stamp;
    });
    this.writes.delete(token);
    this.sayRenewed(from, renewed);
    this.say(from, { k: 'open', o: token, t: tags, ...(bump ? { s: stamps } : {}) });
    return { incarnation: this.incarnation, stamps };
  }

  store(from: string, { tags, entryName, incarnation, stamps, payload, ttlMs }: EntryWrite): boolean {
    const present = this.look(from, tags);
    if (present.isClosed || incarnation !== this.incarnation) return false;
    if (!present.stamps.every((stamp, i) => stamp === stamps[i])) return false;
    if (payload.length + entryBytes > this.options.maxBytes) return false;
    const expiresAtMs = this.options.now() + ttlMs;
    // It may be a part of all that arrived with it.
    this.entries.set(entryName, { payload: owned([payload])[0]!, expiresAtMs });
    return true;
  }

  tagsLike(patterns: readonly string[], most: number): Tag[] | undefined {
    return this.tags.like(patterns, most);
  }

  remove(entryName: string): void {
    this.entries.delete(entryName);
  }

  leave(id: string): void {
    this.members.leave(id);
  }

  /** The process of the member has ended, and all that it sent was carried out. See SharedMembers. */
  memberGone(id: string): void {
    this.members.ended(id, this.options.now());
  }

  /** As `memberGone`, and no server connection of it is left. */
  backendsGone(id: string): void {
    if (this.members.backendsGone(id)) this.rotate('');
  }

  /** To be called now and then: drops lapsed markers of tags that nobody asks for. */
  sweep(): void {
    const renewed: Renewed = { tags: [], stamps: [] };
    this.tags.sweep(this.options.now(), renewed);
    this.sayRenewed('', renewed);
  }

  /** Starts a new incarnation, which voids every stamp and entry. */
  private rotate(from: string): void {
    this.incarnation = `${this.options.name}-${++this.incarnations}`;
    this.tags.forgetStamps();
    this.entries.clear();
    this.say(from, { k: 'reset' });
  }

  private look(from: string, tags: readonly Tag[]): { stamps: number[]; isClosed: boolean } {
    const nowMs = this.options.now();
    const renewed: Renewed = { tags: [], stamps: [] };
    const stamps: number[] = [];
    let isClosed = false;
    for (const tag of tags) {
      const looked = this.tags.look(tag, nowMs, renewed);
      stamps.push(looked.stamp);
      isClosed ||= looked.isClosed;
    }
    this.sayRenewed(from, renewed);
    return { stamps, isClosed };
  }

  private sayRenewed(from: string, { tags, stamps }: Renewed): void {
    if (tags.length > 0) this.say(from, { k: 'open', o: '', t: tags, s: stamps });
  }

  /** As messages.ts reads it. */
  private say(from: string, message: Readonly<Record<string, unknown>>): void {
    this.options.publish(JSON.stringify({ ...message, i: this.incarnation, n: ++this.messages, f: from }));
  }
}
