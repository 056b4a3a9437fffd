/**
 * Keeps the stamps in the table of tags equal to those in Redis, from two sources: answers of Redis, valid as of when
 * they were given, and messages, which arrive in order but on another connection. The higher of two stamps is the
 * newer. peers.ts and redis-sync.ts pass on only what is of the current incarnation and arrived without a gap.
 */
import { endOf, HeardWrites } from './heard-writes.ts';
import type { PeerMessage } from './messages.ts';
import type { TagState } from './tag-state.ts';
import { catalogOf, defaultsSuffix, type TagSet, type TagTable } from './tags.ts';

/**
 * What the DDL is about, and what is known of it: the catalog may change soon, or has been changed; it is known, or not, what became of a
 * change of the defaults of new sessions.
 */
export type PeersDdl = 'catalog, perhaps' | 'catalog, changed' | 'defaults, undecided' | 'defaults, decided';

export interface SharedStampsOptions {
  readonly table: TagTable;
  readonly instanceId: string;
  now(): number;
  /** Another Weir bumped a tag that is in the table. */
  peerBumped(): void;
  /**
   * DDL of another Weir begins or ends in the database of that prefix; undefined: perhaps, in any database, because
   * messages were missed. Statements are prepared anew already at the beginning, because the message about the end may
   * come after the other Weir's client was answered. So new clients wait already then if it is about their defaults.
   */
  peersDdl(prefix: string | undefined, about: PeersDdl): void;
  /** An answer of Redis proves that every visible write was announced. False in ttl mode, which announces none. */
  readonly confirms: boolean;
}

const maxMarkersPerTag = 1_000;

export class SharedStamps {
  private readonly options: SharedStampsOptions;
  private readonly table: TagTable;
  readonly heard = new HeardWrites();

  constructor(options: SharedStampsOptions) {
    this.options = options;
    this.table = options.table;
  }

  /** @param command number of the command that was answered; ignored for tags that this Weir bumped later */
  learn(set: TagSet, stamps: readonly number[], command: number): void {
    set.states.forEach((state, i) => {
      if (command > state.shared.bumpCommand) this.adopt(state, stamps[i]!, false);
    });
  }

  /**
   * Takes the stamps made by this Weir's own bump, unless it has bumped again since or knows of another Weir's bump.
   */
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
    if (!isOwn && message.token !== '') this.reportDdl(message);
    message.tags.forEach((tag, i) => {
      // One that is being written must be known: no replica may answer with it.
      const state = message.kind === 'close' ? this.table.state(tag) : this.table.peek(tag);
      if (state === undefined) {
        if (!isOwn) this.table.writtenUnknown(tag);
        return;
      }
      if (message.kind === 'close') {
        this.addMarker(state, message.token);
        return;
      }
      const wasClosed = state.writes.hasMarkers();
      // Otherwise another Weir was only the first to ask for the stamp of this tag, or has read its catalog again.
      const isWrite = message.token !== '' || wasClosed;
      if (wasClosed) {
        state.writes.endMarker(message.token);
        state.changed();
      }
      const stamp = message.stamps[i];
      if (stamp !== undefined) this.bumped(state, stamp, isOwn, isWrite);
    });
    if (!isOwn) this.heard.note(message.kind === 'close' ? message.token : endOf(message.token));
  }

  /** Not called for a message without a token: then no statement has run, a Weir has only read its catalog again. */
  private reportDdl(message: Exclude<PeerMessage, { kind: 'reset' }>): void {
    const isClose = message.kind === 'close';
    const ofCatalog = isClose || message.stamps.length === 0 ? 'catalog, perhaps' : 'catalog, changed';
    const ofDefaults = isClose ? 'defaults, undecided' : 'defaults, decided';
    for (const tag of message.tags) {
      const prefix = catalogOf(tag);
      if (prefix === undefined) continue;
      // Without a prefix, the other Weir does not know the catalog of the database.
      this.options.peersDdl(prefix === '' ? undefined : prefix, tag.endsWith(defaultsSuffix) ? ofDefaults : ofCatalog);
    }
  }

  private adopt(state: TagState, stamp: number, isOwn: boolean): void {
    const { shared } = state;
    if (stamp < shared.highest || stamp === shared.value) return;
    const wasKnown = shared.value !== 0;
    shared.highest = stamp;
    shared.value = stamp;
    // Even if the stamp was not known: an answer stored under the stamp before may be older than a missed write.
    this.table.bump(state);
    if (!isOwn) state.writtenNow(wasKnown);
  }

  private bumped(state: TagState, stamp: number, isOwn: boolean, isWrite: boolean): void {
    const { shared } = state;
    if (stamp <= shared.highest) return;
    if (!isOwn) this.options.peerBumped();
    if (shared.value !== 0) {
      this.adopt(state, stamp, isOwn);
      return;
    }
    // The stamp is not known, or this Weir's own bump is in progress: the next answer of Redis must have at least
    // this stamp.
    shared.highest = stamp;
    if (!isOwn) state.writtenNow(isWrite);
  }

  private addMarker(state: TagState, token: string): void {
    if ((state.writes.markers?.size ?? 0) >= maxMarkersPerTag) {
      state.writes.markers = undefined;
      state.shared.value = 0;
      state.writtenNow(false);
    }
    state.writes.addMarker(token, this.options.now());
    state.changed();
  }
}
