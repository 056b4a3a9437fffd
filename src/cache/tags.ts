/**
 * The table of all tags. It knows neither answers nor Redis: cache.ts, guard.ts and peers.ts change it. Its size is bounded:
 * tags that no answer carries are forgotten first. A tag that comes back has a new stamp, and counts as written just now.
 */
import type { Tag } from '../binding/plan.ts';
import type { Tick } from '../topology/types.ts';
import { noSuchTick } from '../util/ticks.ts';
import { TagState, type TagKind } from './tag-state.ts';
import type { TickSource } from './types.ts';

/** The tags of one answer: sorted by name, each database's `all` included. */
export interface TagSet {
  readonly states: readonly TagState[];
  /** Names in the same order, for Redis. */
  readonly names: readonly Tag[];
  /** Of the table when it was made; another means that a state in it may have been forgotten. */
  readonly epoch: number;
}

const ofDatabase = /^(.*?)(r\d+|cat|all)$/s;

/** Prefix of the database of which the tag is the catalog's; undefined: it is another tag. */
export function catalogOf(tag: Tag): string | undefined {
  const { kind, prefix } = split(tag);
  return kind === 'catalog' ? prefix : undefined;
}

function split(tag: Tag): { kind: TagKind; prefix: string | undefined } {
  const match = tag.startsWith('t:') ? null : ofDatabase.exec(tag);
  if (match === null) return { kind: 'user', prefix: undefined };
  const kind = match[2] === 'all' ? 'all' : match[2] === 'cat' ? 'catalog' : 'relation';
  return { kind, prefix: match[1] ?? '' };
}

export class TagTable {
  private readonly states = new Map<Tag, TagState>();
  private readonly sources = new Map<string, TickSource>();
  private sets = new WeakMap<readonly Tag[], TagSet>();
  private readonly hasPeers: boolean;
  private readonly maxTags: number;
  private stamps = 0;
  private orders = 0;
  private epoch = 0;
  /** Something may have been written that the table no longer knows: new tags count as written at their birth. */
  private isForgetful = false;

  constructor(hasPeers: boolean, maxTags: number) {
    this.hasPeers = hasPeers;
    this.maxTags = maxTags;
    this.isForgetful = hasPeers;
  }

  /** Place in the one order of all events of this process: reads noted, fills begun, questions to Redis. */
  nextOrder(): number {
    return ++this.orders;
  }

  attach(prefix: string, source: TickSource): void {
    if (this.sources.get(prefix) === source) return;
    this.sources.set(prefix, source);
    for (const [tag, state] of this.states) {
      if (split(tag).prefix !== prefix) continue;
      state.source = source;
    }
  }

  peek(tag: Tag): TagState | undefined {
    return this.states.get(tag);
  }

  state(tag: Tag): TagState {
    return this.states.get(tag) ?? this.create(tag);
  }

  /** Remembered by the array's identity: callers pass the same array for the same plan and never change it. */
  resolve(tags: readonly Tag[]): TagSet {
    const known = this.sets.get(tags);
    if (known !== undefined && known.epoch === this.epoch) return known;
    const found = new Set<TagState>();
    for (const tag of tags) {
      const state = this.state(tag);
      found.add(state);
      if (state.all !== undefined) found.add(state.all);
    }
    const states = [...found].sort((a, b) => (a.tag < b.tag ? -1 : 1));
    const set = { states, names: states.map((state) => state.tag), epoch: this.epoch };
    this.sets.set(tags, set);
    return set;
  }

  /** Newest tick of `source` at which one of the tags was written, 0 = never. */
  lastWrite(tags: readonly Tag[], source: TickSource, isCertain = false): Tick {
    let newest: Tick = 0;
    for (const state of this.resolve(tags).states) {
      if (state.undecided > 0) return noSuchTick;
      const tick = state.kind === 'user' ? 0 : state.lastWriteIn(source, isCertain);
      if (tick > newest) newest = tick;
    }
    return newest;
  }

  /** Newest write to anything in the database of `prefix`, in the time of `source`, 0 = never. */
  lastWriteInDatabase(prefix: string, source: TickSource, isCertain = false): Tick {
    return this.state(`${prefix}all`).newestWriteIn(source, isCertain);
  }

  /** A peer wrote a tag that is not in the table: it still counts for its database. */
  writtenUnknown(tag: Tag): void {
    const { prefix } = split(tag);
    if (prefix !== undefined) this.state(`${prefix}all`).writtenInside();
  }

  /** The tag no longer has the stamp it had: every entry that carries it is void. */
  bump(state: TagState): void {
    state.stamp = ++this.stamps;
    state.changed();
  }

  /** Nothing that was learned from peers holds any longer (lost Redis, a gap, a new incarnation), or all is void. */
  reset(): void {
    this.isForgetful = true;
    for (const state of this.states.values()) {
      state.writes.markers = undefined;
      if (this.hasPeers) state.shared.value = 0;
      state.shared.highest = 0;
      state.writtenNow(false);
      this.bump(state);
    }
  }

  get size(): number {
    return this.states.size;
  }

  private create(tag: Tag): TagState {
    const { kind, prefix } = split(tag);
    const all = prefix === undefined || kind === 'all' ? undefined : this.state(`${prefix}all`);
    const source = prefix === undefined ? undefined : this.sources.get(prefix);
    if (this.states.size >= this.maxTags) this.forgetOne();
    const state = new TagState(tag, kind, all, source, this.hasPeers ? 0 : 1);
    if (this.isForgetful && kind === 'all') state.writtenNow(false);
    else if (this.isForgetful) state.bornWritten();
    this.bump(state);
    this.states.set(tag, state);
    return state;
  }

  /** Oldest idle tag first; a closed one never: its guard still has to open it. */
  private forgetOne(): void {
    let steps = 0;
    let fallback: TagState | undefined;
    for (const state of this.states.values()) {
      const mayGo = state.closed === 0 && state.kind !== 'all';
      if (mayGo && state.entries === 0) {
        this.drop(state);
        return;
      }
      if (mayGo) fallback ??= state;
      this.states.delete(state.tag);
      this.states.set(state.tag, state);
      if (++steps >= 64) break;
    }
    if (fallback !== undefined) this.drop(fallback);
  }

  private drop(state: TagState): void {
    this.states.delete(state.tag);
    this.bump(state);
    this.epoch++;
    this.isForgetful = true;
  }
}
