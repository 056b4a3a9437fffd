/**
 * The table of tags: which stamp each has, whether it is closed, when it was last written. A stamp is a number that
 * this process never gives twice; behind Redis it stands for the shared stamp that `remote` mirrors.
 * Knows neither answers nor Redis: cache.ts, guard.ts and peers.ts move it. Bounded: idle tags are forgotten, and a
 * tag that comes back has a new stamp and counts as written just now.
 */
import type { Tag } from '../binding/plan.ts';
import type { Tick } from '../topology/types.ts';
import { noSuchTick } from '../util/ticks.ts';
import { LastWrite } from './last-write.ts';
import type { TickSource } from './types.ts';

export type TagKind = 'relation' | 'catalog' | 'all' | 'user';

export class TagState {
  readonly tag: Tag;
  readonly kind: TagKind;
  /** The tag of everything in its database; part of every answer that carries this one. */
  readonly all: TagState | undefined;
  /** Clock of its database, or of one entry that names it; undefined for a user's tag, and until one is attached. */
  source: TickSource | undefined;
  /** The stamp while it may be relied on, -1 while it may not: the one number that a hit compares. */
  live = -1;
  stamp = 0;
  /** Write guards of this process between close and outcome. */
  closed = 0;
  /** Of `closed`, the writes whose outcome is unknown. The primary may show them already, so no replica may be read. */
  undecided = 0;
  /** Tokens of this process's writes to it that are under way, whether they close it or not. */
  own: Set<string> | undefined = undefined;
  /** Told when a write may be over. */
  watchers: Set<() => void> | undefined = undefined;
  /** Peers' guards: token -> monotonic ms at which it lapses unless renewed. */
  markers: Map<string, number> | undefined = undefined;
  /** The shared stamp this one stands for; 0 = must be asked. Without peers always 1. */
  remote: number;
  /** Highest shared stamp heard of; an answer with a lower one is old news. */
  announced = 0;
  /** Number of our own latest bump among the commands sent to Redis: answers to earlier ones know less than we do. */
  bumpCommand = 0;
  /** Order of the newest moment at which nothing visible was still unannounced (rule 12). */
  confirmed = 0;
  private readonly lastWrite = new LastWrite();
  /** Of an `all`: newest write to anything in its database. It outlives the tags, which may be forgotten. */
  private readonly newestInDatabase: LastWrite | undefined;
  /** Of an `all`: writes to anything in its database whose outcome nobody knows. */
  undecidedInDatabase = 0;
  /** Level-1 entries that carry it: an idle tag has none. */
  entries = 0;

  constructor(tag: Tag, kind: TagKind, all: TagState | undefined, source: TickSource | undefined, remote: number) {
    this.tag = tag;
    this.kind = kind;
    this.all = all;
    this.source = source;
    this.remote = remote;
    this.newestInDatabase = kind === 'all' ? new LastWrite() : undefined;
  }

  /** To be called after any change of stamp, closed, markers or remote. */
  settle(): void {
    const isUsable = this.closed === 0 && this.remote !== 0 && (this.markers === undefined || this.markers.size === 0);
    this.live = isUsable ? this.stamp : -1;
    if (this.watchers !== undefined) for (const watcher of this.watchers) watcher();
  }

  begun(token: string): void {
    (this.own ??= new Set()).add(token);
  }

  ended(token: string): void {
    if (this.own?.delete(token) === true && this.own.size === 0) this.own = undefined;
    this.settle();
  }

  /** Whether somebody's write to it is between close and outcome. */
  isClosed(nowMs: number): boolean {
    if (this.closed > 0) return true;
    if (this.markers === undefined) return false;
    for (const [token, deadline] of this.markers) {
      if (deadline > nowMs) continue;
      // Its owner died or is cut off: Redis decides, by the same deadline, and bumps when asked (see Peers.adopt).
      this.markers.delete(token);
      this.remote = 0;
      this.live = -1;
    }
    if (this.markers.size > 0) return true;
    this.markers = undefined;
    this.settle();
    return false;
  }

  /** `isCertain` false: what was learned of it is lost, so it may have been written. */
  writtenNow(isCertain = true): void {
    this.lastWrite.now(this.source, isCertain);
    this.newest?.now(this.source, isCertain);
  }

  /** A forgotten tag is back: its writes already count for the database, so reading it is no new one. */
  bornWritten(): void {
    this.lastWrite.now(this.source, false);
  }

  /** @param source whose tick that is */
  writtenAt(tick: Tick, source: TickSource): void {
    this.lastWrite.at(tick, source);
    this.newest?.at(tick, source);
  }

  /** Something in the database of this `all` was written, not `all` itself: other tables' reads need not wait for it. */
  writtenInside(): void {
    this.newest?.now(this.source, true);
  }

  /** Tick of the last write in the time of `source`, 0 = never. `isCertain`: of those that somebody knows of. */
  lastWriteIn(source: TickSource, isCertain = false): Tick {
    return this.lastWrite.in(source, isCertain);
  }

  /** Newest write to anything in the database of this `all`, in the time of `source`, 0 = never. */
  newestWriteIn(source: TickSource, isCertain: boolean): Tick {
    return this.undecidedInDatabase > 0 ? noSuchTick : (this.newest?.in(source, isCertain) ?? 0);
  }

  /** @param change 1: the outcome of a write to it is not known any more, -1: it is */
  changeUndecided(change: 1 | -1): void {
    this.undecided += change;
    const all = this.kind === 'all' ? this : this.all;
    if (all !== undefined) all.undecidedInDatabase += change;
  }

  private get newest(): LastWrite | undefined {
    return this.kind === 'all' ? this.newestInDatabase : this.all?.newestInDatabase;
  }
}

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
    state.settle();
  }

  /** Nothing that was learned from peers holds any longer (lost Redis, a gap, a new incarnation), or all is void. */
  reset(): void {
    this.isForgetful = true;
    for (const state of this.states.values()) {
      state.markers = undefined;
      if (this.hasPeers) state.remote = 0;
      state.announced = 0;
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
