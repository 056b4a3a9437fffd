/**
 * What a pool has at the moment: its servers, the clients that wait, its limits and counters. pool.ts, which hands servers out,
 * returns.ts, which takes them back, and logins.ts, which opens them, share it.
 */
import type { ServerConnection } from '../backend/server.ts';
import type { PoolSettings } from '../config/config.ts';
import { CurrentSize } from './bounds.ts';
import { Lanes } from './lanes.ts';
import type { PoolOptions } from './options.ts';
import { PoolFigures } from './pool-figures.ts';
import { RecentLoad } from '../util/recent-load.ts';
import type { PoolStats } from './types.ts';
import type { QueueEntry } from './wait-line.ts';
import { WaitQueue } from './wait-queue.ts';

export class PoolState {
  readonly options: PoolOptions;
  settings: PoolSettings;
  readonly size: CurrentSize;
  isPaused = false;
  isClosed = false;
  readonly queue = new WaitQueue();
  readonly figures = new PoolFigures();
  readonly load: RecentLoad;
  readonly lanes = new Lanes();
  readonly all = new Set<ServerConnection>();
  /** Those in the state "idle", in the order of their last use. */
  readonly idle: ServerConnection[] = [];
  /** Those in the states "resetting", "being cancelled" and "being checked", and when they are closed if that has not ended by then; ms. */
  readonly resetting = new Map<ServerConnection, number>();
  /** Log-ins under way. */
  logins = 0;
  /** How often replaceAll() was called. */
  reconnects = 0;
  private readonly expiresAtMs = new WeakMap<ServerConnection, number>();

  constructor(options: PoolOptions) {
    this.options = options;
    this.settings = options.settings;
    this.size = new CurrentSize(options.settings);
    this.load = new RecentLoad(options.nowMs());
  }

  add(server: ServerConnection): void {
    this.all.add(server);
    const { size } = this;
    if (this.all.size >= size.limit) size.reached = this.all.size;
    else if (this.all.size > size.reached) size.reached = this.reachedWhileGrowing;
    // Connections opened together should not all end together.
    const lifetimeMs = this.settings.serverLifetimeMs * (0.9 + 0.1 * this.options.random());
    if (lifetimeMs > 0) this.expiresAtMs.set(server, this.options.nowMs() + lifetimeMs);
  }

  /** An overload does not end because the pool gets larger, but when that has helped: only then may all wait in turn again. */
  private get reachedWhileGrowing(): number {
    return this.queue.overload.state === 'overloaded' ? this.all.size : Infinity;
  }

  /** Closes every connection when it is next given back; those whose log-in is under way, when that has succeeded. */
  replaceAll(): void {
    this.reconnects++;
    for (const server of this.all) server.isCloseNeeded = true;
  }

  /** False: it was not there. */
  remove(server: ServerConnection): boolean {
    if (!this.all.delete(server)) return false;
    this.resetting.delete(server);
    this.lanes.leave(server);
    const at = this.idle.indexOf(server);
    if (at !== -1) this.idle.splice(at, 1);
    const { size, all, queue } = this;
    size.yieldTo = Infinity;
    if (at !== -1 || !server.isClosedByWeir) size.reached = Infinity;
    // A pool whose servers are closed as fast as they log in does not grow, whatever its limit.
    else if (queue.length > 0 && size.reached === Infinity) size.reached = all.size + 1;
    return true;
  }

  /** Idle servers above the limit are closed, those in use when they come back. */
  moveLimit(to: number): void {
    const { all, idle, size, queue, options, settings } = this;
    if (to > size.limit) queue.overload.grew({ nowMs: options.nowMs(), waiting: queue.length }, settings);
    size.limit = to;
    size.reached = all.size >= to ? to : this.reachedWhileGrowing;
    while (all.size > to && idle.length > 0) (idle[0] as ServerConnection).close('the pool was made smaller');
  }

  isExpired(server: ServerConnection, nowMs: number): boolean {
    return nowMs >= (this.expiresAtMs.get(server) ?? Infinity);
  }

  /** It must be closed instead of handed out. */
  isUnwanted(server: ServerConnection): boolean {
    const { size } = this;
    if (this.all.size > Math.min(size.limit, size.atMost, size.yieldTo)) return true;
    return server.isCloseNeeded || this.isClosed || this.isPaused;
  }

  /** False: it cannot be handed out, and is closed. */
  handedOut(server: ServerConnection, nowMs = this.options.nowMs()): boolean {
    if (!server.move('handed out')) return false;
    server.requestAtMs = nowMs;
    this.figures.checkouts++;
    const inUse = this.all.size - this.idle.length - this.resetting.size;
    if (inUse > this.figures.peakInUse) this.figures.peakInUse = inUse;
    if (inUse > this.figures.peakForBudget) this.figures.peakForBudget = inUse;
    return true;
  }

  /** Takes the client that is served next out of the queue. @param server the one it gets for itself; undefined: it shares one */
  takeNext(nowMs: number, server?: ServerConnection): QueueEntry {
    const { figures, queue } = this;
    const entry = queue.take(figures.meanHoldMs, server);
    const waitedMs = nowMs - entry.sinceMs;
    figures.waited(waitedMs);
    queue.granted(entry, waitedMs);
    return entry;
  }

  /** The last checkout was not for another client: SHOW STATS counts the servers that clients get. */
  uncountCheckout(): void {
    this.figures.checkouts--;
  }

  /**
   * All servers that the pool can have now are there, or were and are being replaced, so a client can only wait for another
   * client's. Clients that give up in mid-statement have theirs closed: in an overload some are always missing.
   */
  looksFull(): boolean {
    const { all, logins, options, settings, size } = this;
    // With pool_mode = session a client waits until another one leaves: that is no overload.
    if (this.isPaused || settings.poolMode === 'session') return false;
    if (size.reached !== Infinity || this.isHeldBack) return true;
    if (all.size === 0 || logins > 0 || options.budget.shortage(options) === undefined) return false;
    size.reached = all.size;
    return true;
  }

  /** Clients without a server have to wait, although one may be idle: as many statements run as may. */
  get isHeldBack(): boolean {
    const { queue, all, idle } = this;
    const { atOnce } = queue;
    return atOnce.isLimited && atOnce.isFull(all, all.size - idle.length);
  }

  longestWaitMs(): number {
    const oldest = this.queue.oldest();
    return oldest === undefined ? 0 : this.options.nowMs() - oldest.sinceMs;
  }

  /** Called about ten times a second. */
  noteLoad(nowMs: number): void {
    this.load.note(nowMs, this.all.size - this.idle.length + this.queue.length);
  }

  stats(): PoolStats {
    const now = this.options.nowMs();
    let pinned = 0;
    for (const server of this.all) if (server.holders.last?.isPinned === true) pinned++;
    return {
      database: this.options.database,
      user: this.options.user,
      node: this.options.node,
      poolMode: this.settings.poolMode,
      limit: this.size.limit,
      min: this.size.min,
      max: this.size.max,
      active: this.all.size - this.idle.length - this.resetting.size,
      idle: this.idle.length,
      login: this.logins,
      resetting: this.resetting.size,
      pinned,
      waiting: this.queue.length,
      maxWaitMs: this.longestWaitMs(),
      load: this.load.average,
      peakLoad: this.load.peak(now),
      loadObservedMs: this.load.observedMs(now),
      isOverloaded: this.queue.overload.state === 'overloaded',
      earlyRefusals: this.queue.overload.refusals,
      isPaused: this.isPaused,
      atOnce: this.queue.atOnce.isLimited ? this.queue.atOnce.limit : undefined,
      ...this.figures.counters(),
    };
  }
}
