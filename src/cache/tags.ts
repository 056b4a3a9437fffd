/**
 * The table of all tags. Knows neither answers nor Redis: cache.ts, guard.ts and peers.ts change it. Bounded: tags
 * that no answer carries are forgotten first. A forgotten tag that is used again has a new stamp and counts as just
 * written.
 */
import type { Tag } from '../binding/plan.ts';
import type { Tick } from '../topology/types.ts';
import { noSuchTick } from '../util/ticks.ts';
import { Coverage, unwatched, type Covered } from './coverage.ts';
import { TagState, type TagKind } from './tag-state.ts';
import type { TickSource } from './types.ts';

/** The tags of one answer, sorted by name, including the `all` of each database and `everything`. */
export interface TagSet {
  readonly states: readonly TagState[];
  /** Names in the same order, for Redis. */
  readonly names: readonly Tag[];
  /** How well writes around Weir are known. */
  readonly covered: Covered;
  /** Epoch of the table when the set was made; in a later epoch, a state in it may have been forgotten. */
  readonly epoch: number;
}

const ofDatabase = /^(.*?)(r\d+|cat|def|all)$/s;

/** @returns the prefix of the database, for a catalog tag; undefined for other tags */
export function catalogOf(tag: Tag): string | undefined {
  const { kind, prefix } = split(tag);
  return kind === 'catalog' ? prefix : undefined;
}

/** Behind the prefix of a database: ALTER ROLE or ALTER DATABASE, which may change the defaults of new sessions. No answer has it. */
export const defaultsSuffix = 'def';

function split(tag: Tag): { kind: TagKind; prefix: string | undefined } {
  const match = tag.startsWith('t:') ? null : ofDatabase.exec(tag);
  if (match === null) return { kind: 'user', prefix: undefined };
  const kind = match[2] === 'all' ? 'all' : match[2] === 'cat' || match[2] === defaultsSuffix ? 'catalog' : 'relation';
  return { kind, prefix: match[1] ?? '' };
}

/** What a write closes if the catalog of its database is not known, so that not even the database can be named. */
const everythingTag = 'all';

export class TagTable {
  private readonly states = new Map<Tag, TagState>();
  private readonly sources = new Map<string, TickSource>();
  private sets = new WeakMap<readonly Tag[], TagSet>();
  private readonly hasPeers: boolean;
  private readonly maxTags: number;
  /** Undefined: nobody looks for writes around Weir. */
  private readonly coverage: Coverage | undefined;
  private stamps = 0;
  private orders = 0;
  private epoch = 0;
  /** There may have been writes to tags that the table does not know: new tags count as just written. */
  private isForgetful = false;
  /** Part of every answer of any database. */
  private readonly everything: TagState;

  /** @param isCovered writes around Weir are looked for */
  constructor(hasPeers: boolean, maxTags: number, isCovered = false) {
    this.hasPeers = hasPeers;
    this.coverage = isCovered ? new Coverage() : undefined;
    this.maxTags = maxTags;
    this.isForgetful = hasPeers;
    this.everything = this.state(everythingTag);
  }

  /**
   * @returns the next number in the order of all events of this process: reads noted, fills begun, questions to Redis
   */
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

  /** Writes around Weir to these tables of a database, and to no others, are known up to some moment before `untilMs`. */
  cover(prefix: string, untilMs: number, tables: ReadonlySet<Tag>): void {
    if (this.coverage?.cover(prefix, untilMs, tables) === true) this.epoch++;
  }

  peek(tag: Tag): TagState | undefined {
    return this.states.get(tag);
  }

  state(tag: Tag): TagState {
    return this.states.get(tag) ?? this.create(tag);
  }

  /**
   * Remembers the result by the array's identity: callers pass the same array for the same plan and never change it.
   */
  resolve(tags: readonly Tag[]): TagSet {
    const known = this.sets.get(tags);
    if (known !== undefined && known.epoch === this.epoch) return known;
    const found = new Set<TagState>();
    for (const tag of tags) {
      const state = this.state(tag);
      found.add(state);
      if (state.all !== undefined) found.add(state.all).add(this.everything);
    }
    const states = [...found].sort((a, b) => (a.tag < b.tag ? -1 : 1));
    const covered = this.coverage?.ofAnswer(states) ?? unwatched;
    const set = { states, names: states.map((state) => state.tag), covered, epoch: this.epoch };
    this.sets.set(tags, set);
    return set;
  }

  /** @returns the newest tick of `source` at which one of the tags was written; 0: never */
  lastWrite(tags: readonly Tag[], source: TickSource, nowMs: number, isCertain = false): Tick {
    let newest: Tick = 0;
    for (const state of this.resolve(tags).states) {
      if (state.undecided > 0) return noSuchTick;
      if (state.kind === 'user') continue;
      const tick = state.writes.forbidReplicas(nowMs) ? source.next() : state.lastWriteIn(source, isCertain);
      if (tick > newest) newest = tick;
    }
    return newest;
  }

  /** @returns tick of the newest write to anything in the database of `prefix`, as a tick of `source`; 0: never */
  lastWriteInDatabase(prefix: string, source: TickSource, nowMs: number, isCertain = false): Tick {
    const inDatabase = this.state(`${prefix}all`).newestWriteIn(source, isCertain, nowMs);
    return Math.max(inDatabase, this.everything.newestWriteIn(source, isCertain, nowMs));
  }

  /** Another Weir wrote a tag that is not in the table: counts it for its database. */
  writtenUnknown(tag: Tag): void {
    const { prefix } = split(tag);
    if (prefix !== undefined) this.state(`${prefix}all`).writtenInside();
  }

  /** Gives the tag a new stamp, which voids every entry that carries it. */
  bump(state: TagState): void {
    state.stamp = ++this.stamps;
    state.changed();
  }

  /**
   * Voids everything: what was learned from other Weirs no longer holds (Redis lost, a gap, a new incarnation), or an
   * administrator asks for it.
   */
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

  tags(): Iterable<Tag> {
    return this.states.keys();
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

  /** Forgets the oldest unused tag, never one that is being written. */
  private forgetOne(): void {
    let steps = 0;
    let fallback: TagState | undefined;
    for (const state of this.states.values()) {
      const mayGo = state.closed === 0 && !state.writes.hasMarkers() && state.kind !== 'all';
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
