/**
 * Keeps the stamps in the table of tags equal to those in Redis, from two sources: answers of Redis, which say what was so
 * when they were given, and messages, which arrive in order but on another connection. The higher of two stamps is the newer.
 * Called by peers.ts and redis-sync.ts, which pass on only what is of the current incarnation and came without a gap.
 */
import type { Tag } from '../binding/plan.ts';
import type { PeerMessage } from './messages.ts';
import type { TagState } from './tag-state.ts';
import { catalogOf, type TagSet, type TagTable } from './tags.ts';
import { markerMs } from './transport.ts';

export interface SharedStampsOptions {
  readonly table: TagTable;
  readonly instanceId: string;
  now(): number;
  /** A peer bumped a tag that we know. */
  peerBumped(): void;
  /**
   * A peer's DDL begins or ends in the database of that prefix; undefined: perhaps, in any database, because messages were
   * missed. The message about its end may come after the peer's client was answered, so statements are prepared anew at the
   * beginning already.
   */
  peersDdl(prefix: string | undefined): void;
  /** Whether an answer of Redis shows that every visible write was announced: not in ttl mode, which announces nothing. */
  readonly confirms: boolean;
}

const maxMarkersPerTag = 1_000;

export class SharedStamps {
  private readonly options: SharedStampsOptions;
  private readonly table: TagTable;

  constructor(options: SharedStampsOptions) {
    this.options = options;
    this.table = options.table;
  }

  /** @param command number of the command that was answered; for a tag that we bumped later the answer does not count */
  learn(set: TagSet, stamps: readonly number[], command: number): void {
    set.states.forEach((state, i) => {
      if (command > state.shared.bumpCommand) this.adopt(state, stamps[i]!, false);
    });
  }

  /** The stamps that our own bump has made, unless we have bumped again since or know of a peer's bump. */
  learnOwn(states: readonly TagState[], stamps: readonly number[], command: number): void {
    states.forEach((state, i) => {
      if (state.shared.bumpCommand === command && state.shared.value === 0) this.adopt(state, stamps[i]!, true);
    });
  }

  /** At `order` or later, Redis had these stamps and no tag was closed: reads noted before are confirmed (rule 12). */
  confirm(set: TagSet, stamps: readonly number[], order: number): void {
    if (!this.options.confirms) return;
    set.states.forEach((state, i) => {
      if (state.shared.value === stamps[i] && order > state.confirmed) state.confirmed = order;
    });
  }

  apply(message: PeerMessage): void {
    const isOwn = message.from === this.options.instanceId;
    if (message.kind === 'reset' || (message.kind === 'close' && isOwn)) return;
    if (!isOwn && message.token !== '') this.reportDdl(message.tags);
    message.tags.forEach((tag, i) => {
      const state = this.table.peek(tag);
      if (state === undefined) {
        if (message.kind !== 'close' && !isOwn) this.table.writtenUnknown(tag);
        return;
      }
      if (message.kind === 'close') {
        this.addMarker(state, message.token);
        return;
      }
      if (state.writes.hasMarkers()) {
        state.writes.endMarker(message.token);
        state.changed();
      }
      const stamp = message.stamps[i];
      if (stamp !== undefined) this.bumped(state, stamp, isOwn);
    });
  }

  /** Not for a message without a token: then no statement has run, a peer has only read its catalog again. */
  private reportDdl(tags: readonly Tag[]): void {
    for (const tag of tags) {
      const prefix = catalogOf(tag);
      if (prefix !== undefined) this.options.peersDdl(prefix);
    }
  }

  private adopt(state: TagState, stamp: number, isOwn: boolean): void {
    const { shared } = state;
    if (stamp < shared.highest || stamp === shared.value) return;
    const wasKnown = shared.value !== 0;
    shared.highest = stamp;
    shared.value = stamp;
    // Also if the stamp was not known: an answer stored under the stamp before may be older than a write we missed.
    this.table.bump(state);
    if (!isOwn) state.writtenNow(wasKnown);
  }

  private bumped(state: TagState, stamp: number, isOwn: boolean): void {
    const { shared } = state;
    if (stamp <= shared.highest) return;
    if (!isOwn) this.options.peerBumped();
    if (shared.value !== 0) {
      this.adopt(state, stamp, isOwn);
      return;
    }
    // Not known, or our own bump is under way: the next answer of Redis must have at least this stamp.
    shared.highest = stamp;
    if (!isOwn) state.writtenNow();
  }

  private addMarker(state: TagState, token: string): void {
    if ((state.writes.markers?.size ?? 0) >= maxMarkersPerTag) {
      state.writes.markers = undefined;
      state.shared.value = 0;
    }
    state.writes.addMarker(token, this.options.now() + markerMs);
    state.changed();
  }
}
