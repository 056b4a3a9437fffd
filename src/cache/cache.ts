/**
 * The result cache of one process (types.ts says what a session may ask of it). Joins key, tags, level 1, flights and,
 * with Redis, the peers; the rules of consistency live here and in guard.ts. Switched off it still keeps the ticks of
 * writes, by which routing reads tables no older than their last write. Made by app.ts.
 *
 * While Redis is configured but not in step, nothing is served or stored: a peer's write could not be heard of.
 */
import { randomBytes } from 'node:crypto';
import type { CacheSettings } from '../config/config.ts';
import type { Tag } from '../routing/plan.ts';
import type { Tick } from '../topology/types.ts';
import { Flights, mayJoinByStamps, missing } from './flights.ts';
import type { FlightPlan } from './flights.ts';
import { Freshness } from './freshness.ts';
import { Guard } from './guard.ts';
import { fullKey, hashKey } from './key.ts';
import type { CacheOptions, CacheParts } from './parts.ts';
import { Peers } from './peers.ts';
import { RedisTransport } from './redis.ts';
import { SecondLevel } from './second-level.ts';
import { isCurrent, isSameSet, makeEntry, owned, stampsOf, Store, sumOf } from './store.ts';
import type { Entry } from './store.ts';
import { TagTable } from './tags.ts';
import type { TagSet, TagState } from './tags.ts';
import type { CacheStats, KeyParts, Lookup, ResultCache, SessionFreshness, TickSource, WriteGuard } from './types.ts';

const maxTags = 50_000;
/** A write of more tags than this counts as a write of everything. */
const maxTagsPerWrite = 64;
/** Lives are up to this much shorter than allowed, so that what was filled together does not end together. */
const ttlJitter = 0.1;
const operatorWaitMs = 1_000;

export function createCache(options: CacheOptions, parts: Partial<CacheParts> = {}): ResultCache {
  const { settings } = options;
  const instanceId = options.instanceId ?? randomBytes(16).toString('hex');
  const transport =
    parts.transport ??
    (settings.redis === undefined
      ? undefined
      : new RedisTransport({
          url: settings.redis,
          instanceId,
          maxEntryBytes: settings.maxEntrySizeBytes,
          log: options.log,
        }));
  return new Cache(options, instanceId, {
    fullKey,
    hashKey,
    mayJoin: mayJoinByStamps,
    isCurrent,
    ignoresGaps: false,
    keepsTrust: false,
    ignoresFreshness: false,
    random: Math.random,
    maxTags,
    ...parts,
    transport,
  });
}

const off = missing('the cache is off');
const closed = missing('a write to one of its tables is under way');
const outOfStep = missing('the second level is out of reach');
const alone = missing('somebody else is asking, not waited for');

class Cache implements ResultCache {
  readonly isEnabled: boolean;
  private readonly settings: CacheSettings;
  private readonly parts: CacheParts;
  private readonly now: () => number;
  private readonly table: TagTable;
  private readonly store: Store;
  private readonly flights: Flights;
  private readonly peers: Peers | undefined;
  private readonly second: SecondLevel | undefined = undefined;
  private readonly tokenBase: string;
  private tokens = 0;
  private readonly isByTime: boolean;
  private hits = 0;
  private hitsSecondLevel = 0;
  private misses = 0;
  private stores = 0;
  private readonly invalidations = { local: 0, peer: 0, operator: 0, catalog: 0, gap: 0 };

  constructor(options: CacheOptions, instanceId: string, parts: CacheParts) {
    this.settings = options.settings;
    this.isEnabled = options.settings.enabled;
    this.parts = parts;
    this.now = options.now;
    this.tokenBase = instanceId;
    this.isByTime = options.settings.mode === 'ttl';
    this.table = new TagTable(parts.transport !== undefined, parts.maxTags);
    this.store = new Store(options.settings.maxMemoryBytes);
    this.flights = new Flights({
      land: (plan, frames) => this.land(plan, frames),
      now: options.now,
      mayJoin: parts.mayJoin,
    });
    this.peers =
      parts.transport === undefined
        ? undefined
        : new Peers({
            transport: parts.transport,
            table: this.table,
            instanceId,
            log: options.log,
            now: options.now,
            forget: () => {
              this.invalidations.gap++;
              this.store.clear();
            },
            peerBumped: () => this.invalidations.peer++,
            ignoresGaps: parts.ignoresGaps,
            keepsTrust: parts.keepsTrust,
            confirms: !this.isByTime,
          });
    if (this.peers !== undefined) {
      this.second = new SecondLevel({
        peers: this.peers,
        ttlMs: options.settings.ttlMs,
        maxEntryBytes: options.settings.maxEntrySizeBytes,
        hashKey: parts.hashKey,
        now: options.now,
      });
    }
  }

  newFreshness(): SessionFreshness {
    return new Freshness();
  }

  attach(prefix: string, ticks: TickSource): void {
    this.table.attach(prefix, ticks);
  }

  lookup(key: KeyParts, tags: readonly Tag[], ttlMs: number, freshness: SessionFreshness, ticks: TickSource): Lookup {
    if (!this.isEnabled) return off;
    const set = this.table.resolve(tags);
    const full = this.parts.fullKey(key);
    const entry = this.usable(full, set, ttlMs, freshness as Freshness);
    if (entry !== undefined) {
      this.hits++;
      return entry.hit;
    }
    const now = this.now();
    for (const state of set.states) if (state.isClosed(now)) return this.miss(closed);
    if (this.second === undefined) return this.takeOff(full, set, ttlMs, freshness as Freshness, ticks, true);
    if (this.peers?.isUsable !== true) return this.miss(outOfStep);
    return { kind: 'wait', result: this.askPeers(this.second, full, set, ttlMs, freshness as Freshness, ticks) };
  }

  noteRead(tags: readonly Tag[], freshness: SessionFreshness): void {
    if (this.isEnabled) this.raise(this.table.resolve(tags), freshness as Freshness);
  }

  close(tags: readonly Tag[], all: boolean, prefix: string, freshness: SessionFreshness): WriteGuard {
    const isAll = all || tags.length > maxTagsPerWrite;
    const states = new Set<TagState>();
    const everything = isAll ? this.table.state(`${prefix}all`) : undefined;
    if (everything !== undefined) states.add(everything);
    for (const tag of tags) {
      const state = this.table.state(tag);
      // Every answer of this database carries `all`, so its tables need not be named as well.
      if (state.kind !== 'relation' || everything === undefined || state.all !== everything) states.add(state);
    }
    const rules = {
      table: this.table,
      peers: this.peers,
      isByTime: this.isByTime,
      bumped: (state: TagState) => void this.invalidations[state.kind === 'catalog' ? 'catalog' : 'local']++,
    };
    return new Guard(rules, `${this.tokenBase}:${++this.tokens}`, [...states], freshness as Freshness);
  }

  lastWrite(tags: readonly Tag[]): Tick {
    let newest: Tick = 0;
    for (const state of this.table.resolve(tags).states) {
      if (state.lastWrite === 0 || state.kind === 'user') continue;
      // Written, but in a time that nobody told us of: a tick that no clock reaches.
      const tick = state.source === undefined ? Number.MAX_SAFE_INTEGER : state.lastWriteIn(state.source);
      if (tick > newest) newest = tick;
    }
    return newest;
  }

  async invalidate(tags: readonly Tag[]): Promise<void> {
    const states = [...new Set(tags)].map((tag) => this.table.state(tag));
    for (const state of states) {
      state.writtenNow();
      this.table.bump(state);
      this.invalidations.operator++;
    }
    const told: Promise<void>[] = [];
    for (let i = 0; i < states.length; i += maxTagsPerWrite) {
      const told1 = this.peers?.opened('', states.slice(i, i + maxTagsPerWrite), true);
      if (told1 !== undefined) told.push(told1);
    }
    await within(Promise.all(told), operatorWaitMs);
  }

  async invalidateAll(): Promise<void> {
    this.invalidations.operator++;
    this.table.reset();
    this.store.clear();
    if (this.peers !== undefined) await within(this.peers.rotate(), operatorWaitMs);
  }

  stats(): CacheStats {
    return {
      entries: this.store.size,
      bytes: this.store.bytes,
      maxBytes: this.store.maxBytes,
      hits: this.hits,
      hitsSecondLevel: this.hitsSecondLevel,
      misses: this.misses,
      stores: this.stores,
      evictions: this.store.evictions,
      invalidations: { ...this.invalidations },
      redis: this.peers === undefined ? 'off' : this.peers.isUp ? 'up' : 'down',
    };
  }

  start(): Promise<void> {
    this.peers?.start();
    return Promise.resolve();
  }

  async stop(): Promise<void> {
    this.flights.abandonAll();
    await this.peers?.stop();
    this.store.clear();
  }

  /** From now on the session accepts answers with these tags only if they were asked for, or confirmed, later. */
  private raise(set: TagSet, freshness: Freshness): void {
    if (this.settings.mode !== 'session') return;
    const order = this.table.nextOrder();
    for (const state of set.states) {
      // Without peers only a write under way can be seen before it is announced: every other one has bumped already.
      if (this.peers !== undefined || state.closed > 0) freshness.raise(state, order);
    }
  }

  private miss(lookup: Lookup): Lookup {
    this.misses++;
    return lookup;
  }

  /** The level-1 entry that this session may be shown now. */
  private usable(full: string, set: TagSet, ttlMs: number, freshness: Freshness): Entry | undefined {
    const entry = this.store.get(full);
    return entry !== undefined && this.mayShow(entry, set, ttlMs, freshness) ? entry : undefined;
  }

  private mayShow(entry: Entry, set: TagSet, ttlMs: number, freshness: Freshness): boolean {
    const now = this.now();
    return (
      this.parts.isCurrent(entry.states, entry.stamps) &&
      now < entry.expiresAtMs &&
      now - entry.filledAtMs < ttlMs &&
      isSameSet(entry.states, set.states) &&
      (freshness.accepts(entry.states, entry.order) || this.parts.ignoresFreshness)
    );
  }

  /** A miss: join somebody's flight, or take off (rules 1 and 4). */
  private takeOff(
    key: string,
    set: TagSet,
    ttlMs: number,
    freshness: Freshness,
    ticks: TickSource,
    mayWait: boolean,
  ): Lookup {
    const stamps = stampsOf(set);
    if (stamps === undefined) return this.miss(closed);
    const other = this.flights.find(key, set);
    if (other !== undefined && (freshness.accepts(set.states, other.order) || this.parts.ignoresFreshness)) {
      if (!mayWait) return this.miss(alone);
      return { kind: 'wait', result: this.joined(other, set, ttlMs, freshness, ticks) };
    }
    const flight = this.flights.takeOff({
      key,
      set,
      stamps,
      remotes: set.states.map((state) => state.remote),
      order: this.table.nextOrder(),
      startedAtMs: this.now(),
      ttlMs,
      ticks,
    });
    return this.miss({ kind: 'miss', flight, why: 'not in the cache' });
  }

  private async joined(
    plan: FlightPlan,
    set: TagSet,
    ttlMs: number,
    freshness: Freshness,
    ticks: TickSource,
  ): Promise<Lookup> {
    const entry = await this.flights.join(plan);
    if (entry !== undefined && this.mayShow(entry, set, ttlMs, freshness)) {
      this.hits++;
      // Not confirmed by Redis yet: the same as if this session had asked the database itself.
      if (this.second !== undefined) this.raise(set, freshness);
      return entry.hit;
    }
    return this.takeOff(plan.key, set, ttlMs, freshness, ticks, false);
  }

  private async askPeers(
    second: SecondLevel,
    full: string,
    set: TagSet,
    ttlMs: number,
    freshness: Freshness,
    ticks: TickSource,
  ): Promise<Lookup> {
    const found = await second.find(full, set);
    if (found === 'unreachable') return this.miss(outOfStep);
    if (found === 'closed') return this.miss(closed);
    const first = this.usable(full, set, ttlMs, freshness);
    if (first !== undefined) {
      this.hits++;
      return first.hit;
    }
    const { entry } = found;
    if (entry !== undefined && this.mayShow(entry, set, ttlMs, freshness)) {
      this.store.set(full, entry);
      this.hits++;
      this.hitsSecondLevel++;
      return { kind: 'hit', parts: entry.hit.parts, level: 2 };
    }
    return this.takeOff(full, set, ttlMs, freshness, ticks, true);
  }

  private keep(plan: FlightPlan, entry: Entry): void {
    this.store.set(plan.key, entry);
    this.stores++;
  }

  /**
   * With peers an answer may hold a commit whose announcement is still on its way to us. Redis has it already, and
   * refuses the answer: so what is in level 1 never runs ahead of what it is stamped with.
   */
  private async keepShared(plan: FlightPlan, entry: Entry, ttlMs: number): Promise<void> {
    const isKept = (await this.second?.keep(plan, entry.hit.parts, ttlMs)) === true;
    if (isKept && this.parts.isCurrent(plan.set.states, plan.stamps)) this.keep(plan, entry);
  }

  /** A flight came back with a complete answer: store it if every stamp still holds (rule 1). */
  private land(plan: FlightPlan, frames: readonly Buffer[]): Entry | undefined {
    const { set, stamps } = plan;
    if (sumOf(frames) > this.settings.maxEntrySizeBytes) return undefined;
    if (!this.parts.isCurrent(set.states, stamps)) return undefined;
    const lifeMs = Math.min(plan.ttlMs, this.settings.ttlMs * (1 - ttlJitter * this.parts.random()));
    const expiresAtMs = plan.startedAtMs + lifeMs;
    const leftMs = expiresAtMs - this.now();
    if (!(leftMs > 0)) return undefined;
    const parts = owned(frames);
    const { startedAtMs, order } = plan;
    const entry = makeEntry(
      plan.key,
      { states: set.states, stamps, order, filledAtMs: startedAtMs, expiresAtMs },
      parts,
    );
    if (this.second === undefined) this.keep(plan, entry);
    else void this.keepShared(plan, entry, leftMs);
    return entry;
  }
}

/** Resolves when `work` is done, or after `ms`: an operator is not kept waiting for a Redis that hangs. */
async function within(work: Promise<unknown>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([work, deadline]);
  clearTimeout(timer);
}
