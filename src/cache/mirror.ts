/**
 * Keeps the table of tags true to the shared stamps: from answers of Redis, which know what was so when they were given,
 * and from messages, which arrive in order but on another connection. The higher stamp is always the newer one.
 * Called by peers.ts and in-step.ts, which only pass on what is of the current incarnation and came without a gap.
 */
import type { Tag } from '../binding/plan.ts';
import type { PeerMessage } from './messages.ts';
import { catalogOf, type TagSet, type TagState, type TagTable } from './tags.ts';
import { markerMs } from './transport.ts';

export interface MirrorOptions {
  readonly table: TagTable;
  readonly instanceId: string;
  now(): number;
  /** A peer bumped a tag that we know. */
  peerBumped(): void;
  /**
   * A peer's DDL begins or is over in the database of that prefix; undefined: perhaps, in any, as messages were missed. The end
   * is heard only after the peer's client was told of it: the beginning is what makes statements void in time.
   */
  peersDdl(prefix: string | undefined): void;
  /** Whether an answer of Redis shows that nothing visible is unannounced: not in ttl mode, where nothing is announced. */
  readonly confirms: boolean;
}

const maxMarkersPerTag = 1_000;

export class Mirror {
  private readonly options: MirrorOptions;
  private readonly table: TagTable;

  constructor(options: MirrorOptions) {
    this.options = options;
    this.table = options.table;
  }

  /** @param command number of the question; one asked before our own bump does not count for that tag */
  learn(set: TagSet, stamps: readonly number[], command: number): void {
    set.states.forEach((state, i) => {
      if (command > state.bumpCommand) this.adopt(state, stamps[i]!, false);
    });
  }

  /** The stamps that our own bump has made, unless a later bump is under way or a peer's is known already. */
  learnOwn(states: readonly TagState[], stamps: readonly number[], command: number): void {
    states.forEach((state, i) => {
      if (state.bumpCommand === command && state.remote === 0) this.adopt(state, stamps[i]!, true);
    });
  }

  /** At `order` or later Redis had these stamps and nothing closed: reads noted before it are covered (rule 12). */
  confirm(set: TagSet, stamps: readonly number[], order: number): void {
    if (!this.options.confirms) return;
    set.states.forEach((state, i) => {
      if (state.remote === stamps[i] && order > state.confirmed) state.confirmed = order;
    });
  }

  apply(message: PeerMessage): void {
    const isOwn = message.from === this.options.instanceId;
    if (message.kind === 'reset' || (message.kind === 'close' && isOwn)) return;
    if (!isOwn && message.token !== '') this.tellDdl(message.tags);
    message.tags.forEach((tag, i) => {
      const state = this.table.peek(tag);
      if (state === undefined) {
        if (message.kind !== 'close' && !isOwn) this.table.writtenUnknown(tag);
        return;
      }
      if (message.kind === 'close') {
        this.mark(state, message.token);
        return;
      }
      this.unmark(state, message.token);
      const stamp = message.stamps[i];
      if (stamp !== undefined) this.bumped(state, stamp, isOwn);
    });
  }

  /** Of a statement: without a token somebody has only read the catalog once more. */
  private tellDdl(tags: readonly Tag[]): void {
    for (const tag of tags) {
      const prefix = catalogOf(tag);
      if (prefix !== undefined) this.options.peersDdl(prefix);
    }
  }

  private adopt(state: TagState, stamp: number, isOwn: boolean): void {
    if (stamp < state.announced || stamp === state.remote) return;
    const isNews = state.remote !== 0;
    state.announced = stamp;
    state.remote = stamp;
    // Also when it was unknown: what was filled under the stamp before that may be older than a write we missed.
    this.table.bump(state);
    if (!isOwn) state.writtenNow(isNews);
  }

  private bumped(state: TagState, stamp: number, isOwn: boolean): void {
    if (stamp <= state.announced) return;
    if (!isOwn) this.options.peerBumped();
    if (state.remote !== 0) {
      this.adopt(state, stamp, isOwn);
      return;
    }
    // Not known, or our own bump is under way: whoever asks Redis next must see at least this.
    state.announced = stamp;
    if (!isOwn) state.writtenNow();
  }

  private mark(state: TagState, token: string): void {
    const markers = (state.markers ??= new Map<string, number>());
    if (markers.size >= maxMarkersPerTag) {
      markers.clear();
      state.remote = 0;
    }
    markers.set(token, this.options.now() + markerMs);
    state.settle();
  }

  private unmark(state: TagState, token: string): void {
    if (state.markers === undefined) return;
    state.markers.delete(token);
    if (state.markers.size === 0) state.markers = undefined;
    state.settle();
  }
}
