/**
 * The result cache of one process (types.ts says what a session may ask of it). Joins key, tags, level 1, flights and,
 * with Redis, the peers; the rules of consistency live here and in guard.ts. Switched off it still keeps the ticks of
 * writes, by which routing reads tables no older than their last write. Made by app/parts.ts.
 *
 * While Redis is configured but not in step, nothing is served or stored: a peer's write could not be heard of.
 */
import { randomBytes } from 'node:crypto';
import type { CacheSettings } from '../config/config.ts';
import type { Tag } from '../binding/plan.ts';
import type { Tick } from '../topology/types.ts';
import { answerForm } from './answer-form.ts';
import { Counts } from './counts.ts';
import { Flights, mayJoinByStamps, type FlightPlan } from './flights.ts';
import { Freshness } from './freshness.ts';
import { Guard, statesWritten, type GuardRules } from './guard.ts';
import { Invalidation } from './invalidation.ts';
import { fullKey, hashKey } from './key.ts';
import { Landing } from './landing.ts';
import { allRules, type CacheOptions, type CacheParts } from './parts.ts';
import { Peers } from './peers.ts';
import { RedisTransport } from './redis.ts';
import { off, closed, outOfStep, noLease, alone } from './request.ts';
import type { Request } from './request.ts';
import { SecondLevel } from './second-level.ts';
import { isCurrent, isSameSet, stampsOf, Store, type Entry } from './store.ts';
import { TagTable, type TagSet } from './tags.ts';
import type { Transport } from './transport.ts';
import { writesUnderWay } from './under-way.ts';
import type { Backend, CacheStats, KeyParts, Lookup, ResultCache } from './types.ts';
import type { SessionFreshness, TickSource, UnderWay, WhenGone, WriteGuard } from './types.ts';

const maxTags = 50_000;

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
    ...allRules,
    random: Math.random,
    maxTags,
    ...parts,
    transport,
  });
}

class Cache implements ResultCache {
  readonly isEnabled: boolean;
  readonly hasPeers: boolean;
  private readonly settings: CacheSettings;
  private readonly parts: CacheParts;
  private readonly now: () => number;
  private readonly table: TagTable;
  private readonly store: Store;
  private readonly flights: Flights;
  private readonly peers: Peers | undefined;
  /** Without peers nobody else writes, so that it never ends. */
  private readonly lease: { readonly untilMs: number };
  private readonly second: SecondLevel | undefined = undefined;
  private readonly guardRules: GuardRules;
  private readonly instanceId: string;
  private tokens = 0;
  private readonly isByTime: boolean;
  private readonly counts = new Counts();
  private readonly landing: Landing;
  private readonly invalidation: Invalidation;

  constructor(options: CacheOptions, instanceId: string, parts: CacheParts) {
    this.settings = options.settings;
    this.isEnabled = options.settings.enabled;
    this.hasPeers = parts.transport !== undefined;
    this.parts = parts;
    this.now = options.now;
    this.instanceId = instanceId;
    this.isByTime = options.settings.mode === 'ttl';
    this.table = new TagTable(this.hasPeers, parts.maxTags);
    this.store = new Store(options.settings.maxMemoryBytes);
    this.flights = new Flights({
      land: (plan, frames, _bytes, isWhole) => this.landing.land(plan, frames, isWhole),
      now: options.now,
      mayJoin: parts.mayJoin,
    });
    const undecided = (change: number): void => void (this.counts.undecided += change);
    this.peers = parts.transport === undefined ? undefined : this.makePeers(options, parts, parts.transport, undecided);
    this.lease = this.peers === undefined || parts.ignoresLease ? { untilMs: Infinity } : this.peers.lease;
    this.guardRules = {
      table: this.table,
      peers: this.peers,
      isByTime: this.isByTime,
      undecided,
      bumped: (state) => void this.counts.invalidations[state.kind === 'catalog' ? 'catalog' : 'local']++,
    };
    const { hashKey } = parts;
    if (this.peers !== undefined) this.second = new SecondLevel({ peers: this.peers, cache: options, hashKey });
    const { settings, table, store, peers, second, counts, now } = this;
    this.landing = new Landing({ settings, parts, store, second, counts, now });
    this.invalidation = new Invalidation({ table, store, peers, counts });
  }

  private makePeers(
    options: CacheOptions,
    parts: CacheParts,
    transport: Transport,
    undecided: (change: number) => void,
  ): Peers {
    return new Peers({
      transport,
      table: this.table,
      instanceId: this.instanceId,
      log: options.log,
      now: options.now,
      forget: () => {
        this.counts.invalidations.gap++;
        this.store.clear();
      },
      undecided,
      peerBumped: () => this.counts.invalidations.peer++,
      peersDdl: (prefix) => options.peersDdl?.(prefix),
      rules: parts,
      settings: options.settings,
      confirms: !this.isByTime,
    });
  }

  newFreshness(): SessionFreshness {
    return new Freshness();
  }

  attach(prefix: string, ticks: TickSource, whenGone?: WhenGone): void {
    this.table.attach(prefix, ticks);
    if (whenGone !== undefined) this.peers?.membership.inheritance.attach(prefix, whenGone);
  }

  lookup(
    key: KeyParts,
    tags: readonly Tag[],
    ttlMs: number,
    freshness: SessionFreshness,
    ticks: TickSource,
    isStrict = false,
  ): Lookup {
    if (!this.isEnabled) return off;
    const set = this.table.resolve(tags);
    const full = this.parts.fullKey(key);
    // What was announced may still be on its way to us: for `strict` only Redis can say.
    const entry = isStrict && this.second !== undefined ? undefined : this.store.get(full);
    if (entry !== undefined && this.mayShow(entry, set, ttlMs, freshness as Freshness)) {
      this.counts.hits++;
      return entry.hit;
    }
    const now = this.now();
    for (const state of set.states) if (state.isClosed(now)) return this.miss(closed);
    const request = { key: full, set, ttlMs, freshness: freshness as Freshness, ticks };
    if (this.second === undefined) return this.takeOff(request, true);
    if (this.peers?.isUsable !== true) return this.miss(outOfStep);
    if (!(now < this.lease.untilMs)) return this.miss(noLease);
    return { kind: 'wait', result: this.askPeers(this.second, request, answerForm(key)) };
  }

  noteRead(tags: readonly Tag[], freshness: SessionFreshness): void {
    if (this.isEnabled) this.raise(this.table.resolve(tags), freshness as Freshness);
  }

  close(tags: readonly Tag[], all: boolean, prefix: string, session: SessionFreshness, backend?: Backend): WriteGuard {
    const states = statesWritten(this.table, tags, all, prefix);
    const token = `${this.instanceId}:${++this.tokens}`;
    return new Guard(this.guardRules, token, states, session as Freshness, prefix, backend);
  }

  underWay(tags: readonly Tag[]): UnderWay | undefined {
    return writesUnderWay(tags, this.table.resolve(tags).states, this.now());
  }

  lastWrite(tags: readonly Tag[], source: TickSource, isCertain = false): Tick {
    return this.table.lastWrite(tags, source, isCertain);
  }

  lastWriteInDatabase(prefix: string, source: TickSource, isCertain = false): Tick {
    return this.table.lastWriteInDatabase(prefix, source, isCertain);
  }

  invalidate(tags: readonly Tag[], by: 'operator' | 'catalog' = 'operator'): Promise<void> {
    return this.invalidation.of(tags, by);
  }

  invalidateAll(): Promise<void> {
    return this.invalidation.ofAll();
  }

  stats(): CacheStats {
    return this.counts.stats(this.store, this.peers, this.second, this.now() < this.lease.untilMs);
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
    this.counts.misses++;
    return lookup;
  }

  private mayShow(entry: Entry, set: TagSet, ttlMs: number, freshness: Freshness): boolean {
    const now = this.now();
    return (
      now < this.lease.untilMs &&
      this.parts.isCurrent(entry.states, entry.stamps) &&
      now < entry.expiresAtMs &&
      now - entry.filledAtMs < ttlMs &&
      isSameSet(entry.states, set.states) &&
      (freshness.accepts(entry.states, entry.order, entry.isWhole) || this.parts.ignoresFreshness)
    );
  }

  /** A miss: join somebody's flight, or take off (rules 1 and 4). */
  private takeOff(request: Request, mayWait: boolean): Lookup {
    const { key, set, freshness, ticks, ttlMs } = request;
    const stamps = stampsOf(set);
    if (stamps === undefined) return this.miss(closed);
    const other = this.flights.find(key, set);
    if (other !== undefined && (freshness.accepts(set.states, other.order, true) || this.parts.ignoresFreshness)) {
      return mayWait ? { kind: 'wait', result: this.joined(other, request) } : this.miss(alone);
    }
    const remotes = set.states.map((state) => state.remote);
    const order = this.table.nextOrder();
    const plan = { key, set, stamps, remotes, order, startedAtMs: this.now(), ttlMs, ticks };
    return this.miss({ kind: 'miss', flight: this.flights.takeOff(plan), why: 'not in the cache' });
  }

  private async joined(plan: FlightPlan, request: Request): Promise<Lookup> {
    const entry = await this.flights.join(plan);
    if (entry === undefined || !this.mayShow(entry, request.set, request.ttlMs, request.freshness)) {
      return this.takeOff(request, false);
    }
    this.counts.hits++;
    // Not confirmed by Redis yet: the same as if this session had asked the database itself.
    if (this.second !== undefined) this.raise(request.set, request.freshness);
    return entry.hit;
  }

  private async askPeers(second: SecondLevel, request: Request, form: ReturnType<typeof answerForm>): Promise<Lookup> {
    const { key, set, ttlMs, freshness } = request;
    const found = await second.find(key, form, set);
    if (found === 'unreachable') return this.miss(outOfStep);
    if (found === 'closed') return this.miss(closed);
    const first = this.store.get(key);
    if (first !== undefined && this.mayShow(first, set, ttlMs, freshness)) {
      this.counts.hits++;
      return first.hit;
    }
    const { entry } = found;
    if (entry !== undefined && this.mayShow(entry, set, ttlMs, freshness)) {
      this.store.set(key, entry);
      this.counts.hits++;
      this.counts.hitsSecondLevel++;
      return { kind: 'hit', parts: entry.hit.parts, level: 2 };
    }
    return this.takeOff(request, true);
  }
}
