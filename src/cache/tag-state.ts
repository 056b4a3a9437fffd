/**
 * The state of one tag: its stamp, whether it is closed, who writes to it, when it was last written. A stamp is a number
 * that this process gives only once; an answer may be shown only while its tags have the stamps they had before its query
 * was sent. Made by tags.ts, changed by guard.ts, shared-stamps.ts and orphaned-writes.ts.
 */
import type { Tag } from '../binding/plan.ts';
import type { Tick } from '../topology/types.ts';
import { noSuchTick } from '../util/ticks.ts';
import { LastWrite } from './last-write.ts';
import type { TickSource } from './types.ts';

export type TagKind = 'relation' | 'catalog' | 'all' | 'user';

/** Not a stamp: the tag is closed, or its stamp in Redis is not known. */
export const noStamp = -1;

/** The writes to one tag that are between close and outcome. */
export class TagWrites {
  /** Tokens of the writes of this process, whether they close the tag or not; undefined: none. */
  own: Set<string> | undefined = undefined;
  /** Writes of other Weirs: token -> when its marker lapses (monotonic ms), unless the other Weir renews it; undefined: none. */
  markers: Map<string, number> | undefined = undefined;
  /** Called when one of the writes may be over. */
  watchers: Set<() => void> | undefined = undefined;

  has(token: string): boolean {
    return this.own?.has(token) === true || this.markers?.has(token) === true;
  }

  get tokens(): readonly string[] {
    return [...(this.own ?? []), ...(this.markers?.keys() ?? [])];
  }

  addOwn(token: string): void {
    (this.own ??= new Set()).add(token);
  }

  endOwn(token: string): void {
    if (this.own?.delete(token) === true && this.own.size === 0) this.own = undefined;
  }

  addMarker(token: string, untilMs: number): void {
    (this.markers ??= new Map<string, number>()).set(token, untilMs);
  }

  endMarker(token: string): void {
    if (this.markers?.delete(token) === true && this.markers.size === 0) this.markers = undefined;
  }

  hasMarkers(): boolean {
    return this.markers !== undefined;
  }

  /** @returns whether the marker of another Weir had lapsed */
  dropLapsed(nowMs: number): boolean {
    let hasLapsed = false;
    for (const [token, untilMs] of this.markers ?? []) {
      if (untilMs > nowMs) continue;
      this.endMarker(token);
      hasLapsed = true;
    }
    return hasLapsed;
  }
}

/** The stamp that the tag has in Redis, where all Weirs see the same one. */
export class SharedStamp {
  /** As far as it is known here; 0 = Redis must be asked. Without Redis always 1. */
  value: number;
  /** Highest one that Redis has told us of: an answer with a lower one is out of date. */
  highest = 0;
  /** Number of the command with which we bumped it last: answers to earlier commands do not know of that bump. */
  bumpCommand = 0;

  constructor(value: number) {
    this.value = value;
  }
}

/** The writes to anything in one database. Kept by its `all` tag, because the other tags may be forgotten. */
class DatabaseWrites {
  readonly newest = new LastWrite();
  /** Writes of which the outcome is not known. */
  undecided = 0;
}

export class TagState {
  readonly tag: Tag;
  readonly kind: TagKind;
  /** The tag of everything in its database: part of every answer that carries this one. */
  readonly all: TagState | undefined;
  /** Clock of its database, or of one entry that names it; undefined for a user's tag, and until one is attached. */
  source: TickSource | undefined;
  stamp = 0;
  /** The stamp, or noStamp. The only number that a hit compares. */
  validStamp = noStamp;
  /** Writes that hold it closed: those of this process between close and outcome, and those of Weirs that are gone. */
  closed = 0;
  /** Of `closed`, those of unknown outcome. The primary may show them already, so no replica may be read. */
  undecided = 0;
  readonly writes = new TagWrites();
  readonly shared: SharedStamp;
  /** Order (TagTable.nextOrder) of the newest moment at which every visible write was announced (rule 12). */
  confirmed = 0;
  /** Entries of level 1 that carry it. */
  entries = 0;
  private readonly lastWrite = new LastWrite();
  /** Only of an `all`. */
  private readonly database: DatabaseWrites | undefined;

  constructor(tag: Tag, kind: TagKind, all: TagState | undefined, source: TickSource | undefined, shared: number) {
    this.tag = tag;
    this.kind = kind;
    this.all = all;
    this.source = source;
    this.shared = new SharedStamp(shared);
    this.database = kind === 'all' ? new DatabaseWrites() : undefined;
  }

  /** To be called after any change of `stamp`, `closed`, `shared` or `writes`. */
  changed(): void {
    const { markers, watchers } = this.writes;
    const isValid = this.closed === 0 && this.shared.value !== 0 && markers === undefined;
    this.validStamp = isValid ? this.stamp : noStamp;
    if (watchers !== undefined) for (const watcher of watchers) watcher();
  }

  /** Whether a write to it, by any Weir, is between close and outcome. */
  isClosed(nowMs: number): boolean {
    if (this.closed > 0) return true;
    if (!this.writes.hasMarkers()) return false;
    if (this.writes.dropLapsed(nowMs)) {
      // The Weir that wrote is dead or cut off. Redis drops the marker at the same time, and bumps the tag when it is asked.
      this.shared.value = 0;
      this.validStamp = noStamp;
    }
    if (this.writes.hasMarkers()) return true;
    this.changed();
    return false;
  }

  /** @param isCertain false: nobody knows of a write, but messages about one may have been lost */
  writtenNow(isCertain = true): void {
    this.lastWrite.now(this.source, isCertain);
    this.newestInDatabase?.now(this.source, isCertain);
  }

  /** The table had forgotten this tag. Its writes already count for the database. */
  bornWritten(): void {
    this.lastWrite.now(this.source, false);
  }

  /** @param source the clock of `tick` */
  writtenAt(tick: Tick, source: TickSource): void {
    this.lastWrite.at(tick, source);
    this.newestInDatabase?.at(tick, source);
  }

  /** A tag in the database of this `all` was written, but not `all` itself: reads of other tables need not wait for it. */
  writtenInside(): void {
    this.newestInDatabase?.now(this.source, true);
  }

  /** Tick of the last write in the time of `source`, 0 = never. `isCertain`: only writes that somebody knows of. */
  lastWriteIn(source: TickSource, isCertain = false): Tick {
    return this.lastWrite.in(source, isCertain);
  }

  /** Newest write to anything in the database of this `all`, in the time of `source`, 0 = never. */
  newestWriteIn(source: TickSource, isCertain: boolean): Tick {
    if (this.database === undefined) return this.newestInDatabase?.in(source, isCertain) ?? 0;
    return this.database.undecided > 0 ? noSuchTick : this.database.newest.in(source, isCertain);
  }

  /** @param change 1: a write to it has an unknown outcome from now on, -1: its outcome is known */
  changeUndecided(change: 1 | -1): void {
    this.undecided += change;
    const database = this.database ?? this.all?.database;
    if (database !== undefined) database.undecided += change;
  }

  private get newestInDatabase(): LastWrite | undefined {
    return (this.database ?? this.all?.database)?.newest;
  }
}
