/**
 * Connections of one (database, user, node). How many it may have is set from outside (sizing/pressure.ts, operators);
 * what it does with them is pool-core.ts. No generic pool library underneath: docs/adr/0001-own-pool.md says why.
 */
import type { PoolSettings } from '../config/config.ts';
import { WeirError } from '../errors.ts';
import type { ServerConnection } from '../backend/server.ts';
import { isOtherSize, resized, type Bounds } from './bounds.ts';
import { PoolCore } from './pool-core.ts';
import type { ConnectProblem } from './options.ts';
import type { PoolControl, PoolStats, ResizeReason, WaitHistogram } from './types.ts';
import type { Ticket } from './waiters.ts';

export type { ConnectProblem, PoolOptions } from './options.ts';

export class Pool extends PoolCore implements PoolControl {
  /**
   * A new server in the place of one that its client cannot use, for that client alone. Undefined: there is none now, and
   * the place is free.
   */
  async renew(server: ServerConnection): Promise<ServerConnection | undefined> {
    const isPossible = this.all.has(server) && !this.isPaused && !this.isClosed;
    // Through `closed` whoever waits would take the place.
    if (isPossible) this.all.delete(server);
    this.lanes.close(server);
    server.close('its client cannot use it');
    if (!isPossible) return undefined;
    this.logins++;
    const fresh = await this.options
      .connect((gone) => this.closed(gone))
      .catch((problem: ConnectProblem) => void this.loginFailed(problem));
    if (fresh === undefined) return undefined;
    if (!this.joined(fresh)) this.open();
    else if (this.isUnwanted(fresh)) fresh.close('no longer needed');
    else {
      this.handedOut(fresh);
      // For the client that was counted with the one before.
      this.uncount();
      return fresh;
    }
    return undefined;
  }

  /** A server was handed out, but to no client: SHOW STATS counts what clients get. */
  uncount(): void {
    this.figures.checkouts--;
  }

  setLimit(limit: number, reason: ResizeReason, why: string): void {
    const to = Math.max(1, Math.floor(limit));
    if (to === this.limit) return;
    this.figures.resized({ atMs: Date.now(), from: this.limit, to, reason, why });
    this.limit = to;
    while (this.all.size > this.limit && this.idle.length > 0)
      (this.idle[0] as ServerConnection).close('the pool was made smaller');
    this.options.onResize(this.stats());
    this.open();
  }

  setBounds(bounds: Bounds, why: string): void {
    const { limit, min, max } = resized(this, bounds);
    this.min = min;
    this.max = max;
    this.setLimit(limit, 'operator', why);
    this.open();
  }

  /** New settings after a reload. Only when they bring other sizes is what an operator or the controller did undone. */
  reconfigure(settings: PoolSettings): void {
    const before = this.settings;
    this.settings = settings;
    if (!isOtherSize(before, settings)) return this.open();
    this.min = settings.minPoolSize;
    this.max = settings.maxPoolSize;
    const isOtherDefault = before.defaultPoolSize !== settings.defaultPoolSize;
    const limit = isOtherDefault ? settings.defaultPoolSize : this.limit;
    this.setLimit(
      resized({ limit, min: this.min, max: this.max }, {}).limit,
      'reload',
      'the configuration was reloaded',
    );
    this.open();
  }

  pause(): void {
    this.isPaused = true;
    for (const server of [...this.idle]) server.close('PAUSE');
  }

  resume(): void {
    this.isPaused = false;
    this.retryAtMs = 0;
    while (this.idle.length > 0 && this.line.length > 0) {
      this.grant(this.takeIdle(), this.line.take() as Ticket);
    }
    this.open();
  }

  /** There is something new to log in with: what failed before says nothing about the next try. */
  tryAgain(): void {
    this.refusal = undefined;
    this.retryAtMs = 0;
    this.open();
  }

  reconnect(): void {
    for (const server of this.all) server.isCloseNeeded = true;
    for (const server of [...this.idle]) server.close('RECONNECT');
  }

  /** Everybody in line asks again where to go: the node's role or health changed. */
  sendElsewhere(why: string): void {
    const error = new WeirError('no_node', { database: this.database, why });
    for (const ticket of this.line.takeWhere(() => true)) ticket.waiter.refused(error, true);
  }

  /** No more connections; those in use are closed when they come back. */
  close(): void {
    this.isClosed = true;
    this.sendElsewhere('the pool is closed');
    for (const server of [...this.idle]) server.close('shutting down');
    this.options.budget.leave(this);
  }

  servers(): ReadonlySet<ServerConnection> {
    return this.all;
  }

  get inUse(): number {
    return this.all.size - this.idle.length;
  }

  get isUnused(): boolean {
    return this.all.size === 0 && this.logins === 0 && this.line.length === 0;
  }

  takeMaxWaitMs(): number {
    const max = Math.max(this.figures.maxWaitMs, this.longestWaitMs());
    this.figures.maxWaitMs = 0;
    return max;
  }

  takePeakInUse(): number {
    const peak = Math.max(this.figures.peakInUse, this.inUse);
    this.figures.peakInUse = 0;
    return peak;
  }

  takeServerFull(): number {
    const times = this.figures.serverFull;
    this.figures.serverFull = 0;
    return times;
  }

  waitHistogram(): WaitHistogram {
    return this.figures.histogram();
  }

  stats(): PoolStats {
    const { figures } = this;
    let pinned = 0;
    for (const server of this.all) if (server.isPinned) pinned++;
    return {
      database: this.database,
      user: this.user,
      node: this.node,
      poolMode: this.settings.poolMode,
      limit: this.limit,
      min: this.min,
      max: this.max,
      active: this.all.size - this.idle.length - this.resetting.size,
      idle: this.idle.length,
      login: this.logins,
      resetting: this.resetting.size,
      pinned,
      waiting: this.line.length,
      maxWaitMs: this.longestWaitMs(),
      isPaused: this.isPaused,
      ...figures.counters(),
    };
  }

  private longestWaitMs(): number {
    const oldest = this.line.oldest();
    return oldest === undefined ? 0 : this.options.nowMs() - oldest.sinceMs;
  }
}
