/**
 * The result cache of one process; types.ts documents its interface. Looks answers up in level 1, then in Redis, then
 * joins or begins a query to a database. The rules of consistency are here and in guard.ts. With cache.enabled = off
 * it still records when each table was written, because routing needs that. While Redis is configured but not in step,
 * nothing is shown or stored: writes of other Weirs would be missed. Made by app/parts.ts.
 */
import { randomBytes } from 'node:crypto';
import type { CacheSettings } from '../config/config.ts';
import type { Tag } from '../binding/plan.ts';
import type { Tick } from '../topology/types.ts';
import { answerForm } from './answer-form.ts';
import { bumpedBy, Counts } from './counts.ts';
import { uncovered } from './coverage.ts';
import { Fills } from './fills.ts';
import { Flights, mayJoinByStamps, type FlightPlan } from './flights.ts';
import { Freshness } from './freshness.ts';
import { Guards } from './guard.ts';
import { Invalidation } from './invalidation.ts';
import { fullKey, hashKey } from './key.ts';
import { allRules, type CacheOptions, type CacheParts, type PeersOptions } from './parts.ts';
import { Peers } from './peers.ts';
import { off, closed, outOfStep, noLease, alone, notDecoded } from './request.ts';
import type { Request } from './request.ts';
import { SecondLevel } from './second-level.ts';
import { isAlive, isCurrent, isSameSet, stampsOf, Store, type Entry } from './store.ts';
import { TagTable, type TagSet } from './tags.ts';
import { writesUnderWay } from './under-way.ts';
import { makeTransport } from './transports.ts';
import type { Backend, CacheStats, Invalidated, InvalidatedBy, KeyParts, Lookup, ResultCache } from './types.ts';
import type { SessionFreshness, TickSource, UnderWay, WhenGone, WriteGuard } from './types.ts';

const maxTags = 50_000;

export function createCache(options: CacheOptions, parts: Partial<CacheParts> = {}): ResultCache {
  const instanceId = options.instanceId ?? randomBytes(16).toString('hex');
  const transport = parts.transport ?? makeTransport(options, instanceId);
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
  private readonly settings: CacheSettings;
  private readonly parts: CacheParts;
  private readonly now: () => number;
  private readonly table: TagTable;
  private readonly store: Store;
  private readonly flights: Flights;
  private readonly peers: Peers | undefined = undefined;
  /** Without peers there is no other Weir that writes, so the lease never ends. */
  private readonly lease: { readonly untilMs: number };
  private readonly second: SecondLevel | undefined = undefined;
  private readonly guards: Guards;
  private readonly counts = new Counts();
  private readonly invalidation: Invalidation;

  constructor(options: CacheOptions, instanceId: string, parts: CacheParts) {
    this.settings = options.settings;
    this.isEnabled = options.settings.enabled;
    this.parts = parts;
    this.now = options.now;
    const isByTime = options.settings.mode === 'ttl';
    const { transport } = parts;
    this.table = new TagTable(transport !== undefined, parts.maxTags, options.settings.outOfBandWrites !== 'off');
    this.store = new Store(options.settings.maxMemoryBytes);
    const undecided = (change: number): void => void (this.counts.undecided += change);
    if (transport !== undefined) {
      const rest = { transport, instanceId, undecided, confirms: !isByTime };
      this.peers = this.makePeers(options, parts, rest);
    }
    this.lease = this.peers === undefined || parts.ignoresLease ? { untilMs: Infinity } : this.peers.lease;
    this.guards = new Guards(instanceId, {
      table: this.table,
      peers: this.peers,
      isByTime,
      undecided,
      now: options.now,
      bumped: ({ kind }) => void this.counts.invalidations[bumpedBy[kind]]++,
    });
    const { hashKey } = parts;
    if (this.peers !== undefined) this.second = new SecondLevel({ peers: this.peers, cache: options, hashKey });
    const { settings, table, store, peers, second, counts, now } = this;
    const fills = new Fills({ settings, parts, store, second, counts, now });
    this.flights = new Flights({
      store: (plan, frames, isWhole) => fills.store(plan, frames, isWhole),
      now,
      mayJoin: parts.mayJoin,
    });
    this.invalidation = new Invalidation({ table, store, peers, counts });
  }

  private makePeers(
    options: CacheOptions,
    parts: CacheParts,
    rest: Pick<PeersOptions, 'transport' | 'instanceId' | 'undecided' | 'confirms'>,
  ): Peers {
    return new Peers({
      ...rest,
      table: this.table,
      log: options.log,
      now: options.now,
      forget: () => {
        this.counts.invalidations.gap++;
        this.store.clear();
      },
      peerBumped: () => this.counts.invalidations.peer++,
      peersDdl: (prefix, about) => options.peersDdl?.(prefix, about),
      rules: parts,
      settings: options.settings,
      knownToWorkers: options.knownToWorkers,
    });
  }

  get hasPeers(): boolean {
    return this.peers !== undefined;
  }

  newFreshness(): SessionFreshness {
    return new Freshness();
  }

  arrive(freshness: SessionFreshness, isUnproven: boolean): void {
    (freshness as Freshness).arrive(this.table.nextOrder(), isUnproven);
  }

  attach(prefix: string, ticks: TickSource, whenGone?: WhenGone): void {
    this.table.attach(prefix, ticks);
    if (whenGone !== undefined) this.peers?.membership.orphans.attach(prefix, whenGone);
  }

  lookup(
    key: KeyParts,
    tags: readonly Tag[],
    ttlMs: number,
    freshness: SessionFreshness,
    ticks: TickSource,
    isStrict = false,
    stretch = 1,
  ): Lookup {
    if (!this.isEnabled) return off;
    const set = this.table.resolve(tags);
    const full = this.parts.fullKey(key);
    // For `strict`, only Redis knows of every write: its message may not have arrived here yet.
    const entry = isStrict && this.second !== undefined ? undefined : this.store.get(full);
    const request = { key: full, set, ttlMs, stretch, freshness: freshness as Freshness, ticks };
    if (entry !== undefined && this.mayShow(entry, request)) {
      this.counts.hits++;
      return entry.hit;
    }
    const now = this.now();
    for (const state of set.states) if (state.isClosed(now)) return this.miss(closed);
    if (set.covered === uncovered) return this.miss(notDecoded);
    if (this.second === undefined) return this.askDatabase(request, true);
    if (this.peers?.isUsable !== true) return this.miss(outOfStep);
    if (!(now < this.lease.untilMs)) return this.miss(noLease[this.peers.kind]);
    return { kind: 'wait', result: this.askPeers(this.second, request, answerForm(key)) };
  }

  noteRead(tags: readonly Tag[], freshness: SessionFreshness): void {
    if (this.isEnabled) this.raise(this.table.resolve(tags), freshness as Freshness);
  }

  close(tags: readonly Tag[], all: boolean, prefix: string, session: SessionFreshness, backend?: Backend): WriteGuard {
    return this.guards.close(tags, all, prefix, session as Freshness, backend);
  }

  async heardOf(token: string): Promise<void> {
    await this.peers?.heardOf(token);
  }

  underWay(tags: readonly Tag[]): UnderWay | undefined {
    return writesUnderWay(tags, this.table.resolve(tags).states, this.now());
  }

  lastWrite(tags: readonly Tag[], source: TickSource, isCertain = false): Tick {
    return this.table.lastWrite(tags, source, this.now(), isCertain);
  }

  lastWriteInDatabase(prefix: string, source: TickSource, isCertain = false): Tick {
    return this.table.lastWriteInDatabase(prefix, source, this.now(), isCertain);
  }

  cover(prefix: string, untilMs: number, tables: ReadonlySet<Tag>): void {
    this.table.cover(prefix, untilMs, tables);
  }

  invalidate(tags: readonly Tag[], by: InvalidatedBy = 'operator', patterns?: readonly string[]): Promise<Invalidated> {
    return this.invalidation.of(tags, by, patterns);
  }

  invalidateAll(): Promise<Invalidated> {
    return this.invalidation.ofAll();
  }

  stats(): CacheStats {
    const { isEnabled, store, peers, second } = this;
    return { isEnabled, hasLease: this.now() < this.lease.untilMs, ...this.counts.stats(store, peers, second) };
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

  /**
   * From now on the session accepts an answer with these tags only if its query was sent, or the answer confirmed,
   * later.
   */
  private raise(set: TagSet, freshness: Freshness): void {
    if (this.settings.mode !== 'session') return;
    const order = this.table.nextOrder();
    for (const state of set.states) {
      // Without peers, only a write that is still under way can be visible without having bumped the tag.
      if (this.peers !== undefined || state.closed > 0) freshness.raise(state, order);
    }
  }

  keepShare(share: number): number {
    return this.store.keepShare(share);
  }

  private miss(lookup: Lookup): Lookup {
    this.counts.misses++;
    return lookup;
  }

  private mayShow(entry: Entry, { set, ttlMs, stretch, freshness }: Request): boolean {
    const now = this.now();
    return (
      now < this.lease.untilMs &&
      (now < set.covered.untilMs || this.parts.ignoresCoverage) &&
      this.parts.isCurrent(entry.states, entry.stamps) &&
      isAlive(entry, now, ttlMs, stretch) &&
      isSameSet(entry.states, set.states) &&
      (freshness.accepts(entry.states, entry.order, entry.isWhole) || this.parts.ignoresFreshness)
    );
  }

  /**
   * A miss: waits for another session that asks a database for the same answer, or lets this session ask (rules 1 and
   * 4).
   */
  private askDatabase(request: Request, mayWait: boolean): Lookup {
    const { key, set, freshness, ticks, ttlMs } = request;
    const stamps = stampsOf(set);
    if (stamps === undefined) return this.miss(closed);
    const other = this.flights.find(key, set);
    if (other !== undefined && (freshness.accepts(set.states, other.order, true) || this.parts.ignoresFreshness)) {
      return mayWait ? { kind: 'wait', result: this.joined(other, request) } : this.miss(alone);
    }
    const remotes = set.states.map((state) => state.shared.value);
    const order = this.table.nextOrder();
    const plan = { key, set, stamps, remotes, order, startedAtMs: this.now(), ttlMs, ticks };
    return this.miss({ kind: 'miss', flight: this.flights.begin(plan), why: 'not in the cache' });
  }

  private async joined(plan: FlightPlan, request: Request): Promise<Lookup> {
    const entry = await this.flights.join(plan);
    if (entry === undefined || !this.mayShow(entry, request)) return this.askDatabase(request, false);
    this.counts.hits++;
    // Redis has not confirmed this answer, so treat it as read from the database by this session.
    if (this.second !== undefined) this.raise(request.set, request.freshness);
    return entry.hit;
  }

  private async askPeers(second: SecondLevel, request: Request, form: ReturnType<typeof answerForm>): Promise<Lookup> {
    const { key, set } = request;
    const found = await second.find(key, form, set);
    if (found === 'unreachable') return this.miss(outOfStep);
    if (found === 'closed') return this.miss(closed);
    const first = this.store.get(key);
    if (first !== undefined && this.mayShow(first, request)) {
      this.counts.hits++;
      return first.hit;
    }
    const { entry } = found;
    if (entry !== undefined && this.mayShow(entry, request)) {
      this.store.set(key, entry);
      this.counts.hits++;
      this.counts.hitsSecondLevel++;
      return { kind: 'hit', parts: entry.hit.parts, level: 2 };
    }
    return this.askDatabase(request, true);
  }
}
