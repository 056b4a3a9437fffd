/**
 * The state of one tag: its stamp, whether it is closed, its writes in progress, when it was last written. A stamp is
 * a number that this process uses only once; an answer may be shown only while its tags have the stamps that they had
 * before its query was sent. Made by tags.ts, changed by guard.ts, shared-stamps.ts and orphaned-writes.ts.
 */
import type { Tag } from '../binding/plan.ts';
import type { Tick } from '../topology/types.ts';
import { noSuchTick } from '../util/ticks.ts';
import { LastWrite } from './last-write.ts';
import { markerMs, noReplicaMs } from './transport.ts';
import type { TickSource } from './types.ts';

export type TagKind = 'relation' | 'catalog' | 'all' | 'user';

/** Not a stamp: the tag is closed, or its stamp in Redis is not known. */
export const noStamp = -1;

/** Another Weir is writing. Times are monotonic ms. */
interface Marker {
  /** Then it lapses, unless it is renewed. */
  readonly untilMs: number;
  /** Until then no replica may be read (noReplicaMs). */
  readonly noReplicaUntilMs: number;
}

/** The writes to one tag that are between close and outcome. */
export class TagWrites {
  /** Tokens of the writes of this process, whether they close the tag or not; undefined: none. */
  own: Set<string> | undefined = undefined;
  /** Writes of other Weirs, by token; undefined: none. */
  markers: Map<string, Marker> | undefined = undefined;
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

  addMarker(token: string, nowMs: number): void {
    this.markers ??= new Map<string, Marker>();
    const noReplicaUntilMs = this.markers.get(token)?.noReplicaUntilMs ?? nowMs + noReplicaMs;
    this.markers.set(token, { untilMs: nowMs + markerMs, noReplicaUntilMs });
  }

  endMarker(token: string): void {
    if (this.markers?.delete(token) === true && this.markers.size === 0) this.markers = undefined;
  }

  hasMarkers(): boolean {
    return this.markers !== undefined;
  }

  /** A write of another Weir may have been committed just now, and its message be under way: no replica may be read. */
  forbidReplicas(nowMs: number): boolean {
    if (this.markers === undefined) return false;
    for (const { noReplicaUntilMs } of this.markers.values()) if (noReplicaUntilMs > nowMs) return true;
    return false;
  }

  /** @returns whether the marker of another Weir had lapsed */
  dropLapsed(nowMs: number): boolean {
    let hasLapsed = false;
    for (const [token, { untilMs }] of this.markers ?? []) {
      if (untilMs > nowMs) continue;
      this.endMarker(token);
      hasLapsed = true;
    }
    return hasLapsed;
  }
}

/** The tag's stamp in Redis, which is the same for all Weirs. */
export class SharedStamp {
  /** The stamp as known here; 0: Redis must be asked. Without Redis always 1. */
  value: number;
  /** Highest stamp that Redis has reported: an answer with a lower one is out of date. */
  highest = 0;
  /** Number of the command of this Weir's last bump: answers to earlier commands do not include that bump. */
  bumpCommand = 0;

  constructor(value: number) {
    this.value = value;
  }
}

/** Writes to anything in one database. Kept by its `all` tag, because the table may forget other tags. */
class DatabaseWrites {
  readonly newest = new LastWrite();
  /** Number of writes of unknown outcome. */
  undecided = 0;
  /** Tags that another Weir is writing. */
  readonly marked = new Set<TagState>();
}

export class TagState {
  readonly tag: Tag;
  readonly kind: TagKind;
  /** The `all` tag of its database, part of every answer that carries this tag. */
  readonly all: TagState | undefined;
  /**
   * Ticker of its database, or of one of the entries that name it; undefined for a user tag, and until one is
   * attached.
   */
  source: TickSource | undefined;
  stamp = 0;
  /** The stamp, or noStamp. The only number that a hit compares. */
  validStamp = noStamp;
  /**
   * Number of writes that keep it closed: those of this process between close and outcome, and those of Weirs that are
   * gone.
   */
  closed = 0;
  /** How many of `closed` have an unknown outcome. The primary may already show them, so no replica may be read. */
  undecided = 0;
  readonly writes = new TagWrites();
  readonly shared: SharedStamp;
  /** Order number (TagTable.nextOrder) of the newest moment at which every visible write was announced (rule 12). */
  confirmed = 0;
  /** Number of entries of level 1 that carry it. */
  entries = 0;
  private readonly lastWrite = new LastWrite();
  /** Only for an `all` tag. */
  private readonly database: DatabaseWrites | undefined;

  constructor(tag: Tag, kind: TagKind, all: TagState | undefined, source: TickSource | undefined, shared: number) {
    this.tag = tag;
    this.kind = kind;
    this.all = all;
    this.source = source;
    this.shared = new SharedStamp(shared);
    this.database = kind === 'all' ? new DatabaseWrites() : undefined;
  }

  /** Call after any change of `stamp`, `closed`, `shared` or `writes`. */
  changed(): void {
    const { markers, watchers } = this.writes;
    const marked = (this.database ?? this.all?.database)?.marked;
    if (markers === undefined) marked?.delete(this);
    else marked?.add(this);
    const isValid = this.closed === 0 && this.shared.value !== 0 && markers === undefined;
    this.validStamp = isValid ? this.stamp : noStamp;
    if (watchers !== undefined) for (const watcher of watchers) watcher();
  }

  /** @returns true if a write to it, by any Weir, is between close and outcome */
  isClosed(nowMs: number): boolean {
    if (this.closed > 0) return true;
    if (!this.writes.hasMarkers()) return false;
    if (this.writes.dropLapsed(nowMs)) {
      // The writing Weir is dead or cut off. Redis drops the marker at the same time, and bumps the tag when it is
      // asked.
      this.shared.value = 0;
      this.validStamp = noStamp;
      // Its write may have been committed.
      this.writtenNow();
    }
    if (this.writes.hasMarkers()) return true;
    this.changed();
    return false;
  }

  /** @param isCertain false: no write is known, but messages about one may have been lost */
  writtenNow(isCertain = true): void {
    this.lastWrite.now(this.source, isCertain);
    this.newestInDatabase?.now(this.source, isCertain);
  }

  /** The table had forgotten this tag; its writes are already counted for the database. */
  bornWritten(): void {
    this.lastWrite.now(this.source, false);
  }

  /** @param source the ticker that gave out `tick` */
  writtenAt(tick: Tick, source: TickSource): void {
    this.lastWrite.at(tick, source);
    this.newestInDatabase?.at(tick, source);
  }

  /**
   * For an `all` tag: another tag of its database was written, but not `all` itself, so reads of other tables need not
   * wait.
   */
  writtenInside(): void {
    this.newestInDatabase?.now(this.source, true);
  }

  /**
   * @param isCertain count only known writes
   * @returns tick of the last write, as a tick of `source`; 0: never
   */
  lastWriteIn(source: TickSource, isCertain = false): Tick {
    return this.lastWrite.in(source, isCertain);
  }

  /**
   * For an `all` tag. @returns tick of the newest write to anything in its database, as a tick of `source`; 0: never
   */
  newestWriteIn(source: TickSource, isCertain: boolean, nowMs: number): Tick {
    const { database } = this;
    if (database === undefined) return this.newestInDatabase?.in(source, isCertain) ?? 0;
    if (database.undecided > 0) return noSuchTick;
    for (const { writes } of database.marked) if (writes.forbidReplicas(nowMs)) return source.next();
    return database.newest.in(source, isCertain);
  }

  /** @param change 1: a write of unknown outcome more, -1: the outcome of one is known now */
  changeUndecided(change: 1 | -1): void {
    this.undecided += change;
    const database = this.database ?? this.all?.database;
    if (database !== undefined) database.undecided += change;
  }

  private get newestInDatabase(): LastWrite | undefined {
    return (this.database ?? this.all?.database)?.newest;
  }
}
