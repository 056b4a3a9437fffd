/**
 * Connections of one (database, user, node): hands them out to sessions, and does what operators and the resize controller
 * ask for. What comes back is returns.ts's, what is opened logins.ts's. Knows nothing of SQL or clients. No generic pool
 * library underneath: docs/adr/0001-own-pool.md says why.
 */
import type { PoolSettings } from '../config/config.ts';
import { WeirError } from '../errors.ts';
import type { ServerConnection } from '../backend/server.ts';
import { isOtherSize, resized, type Bounds } from './bounds.ts';
import { takeIdle } from './idle.ts';
import { Logins } from './logins.ts';
import type { PoolOptions } from './options.ts';
import { PoolState } from './pool-state.ts';
import { Returns } from './returns.ts';
import { sweepPool } from './sweep.ts';
import type { PoolControl, PoolStats, ResizeReason, WaitHistogram } from './types.ts';
import type { Ticket, Waiter } from './waiters.ts';

export type { ConnectProblem, PoolOptions } from './options.ts';

/** So long after no server was idle for a short read, such reads leave together. */
const crowdedMs = 100;

export class Pool implements PoolControl {
  readonly database: string;
  readonly user: string;
  readonly node: string;
  /** The node's role when somebody last looked: its servers must not outlive it. */
  role: 'primary' | 'replica' | 'unknown' = 'unknown';
  private readonly state: PoolState;
  private readonly returns: Returns;
  private readonly logins: Logins;
  private crowdedUntilMs = 0;

  constructor(options: PoolOptions) {
    this.database = options.database;
    this.user = options.user;
    this.node = options.node;
    this.state = new PoolState(options);
    this.returns = new Returns(this.state);
    this.logins = new Logins(this.state, this.returns);
  }

  /* ---- for sessions ---- */

  /**
   * A server at once, if one is idle and nobody waits for it already: the one used last, or one of those used last
   * to which `isFit` is true (it looks like the session that asks already).
   */
  tryCheckout(isFit?: (server: ServerConnection) => boolean): ServerConnection | undefined {
    const { state } = this;
    if (state.idle.length === 0 || state.line.length > 0 || state.isPaused) return undefined;
    const server = takeIdle(state.idle, state.settings.serverRoundRobin, isFit);
    return state.handedOut(server) ? server : this.tryCheckout(isFit);
  }

  /** That very server, if it is idle and nobody waits for it already. */
  tryTake(server: ServerConnection): ServerConnection | undefined {
    const { state } = this;
    const at = state.idle.indexOf(server);
    if (at === -1 || state.line.length > 0 || state.isPaused) return undefined;
    state.idle.splice(at, 1);
    return state.handedOut(server) ? server : undefined;
  }

  /**
   * A place behind other clients' short reads on one server, when no server is idle and nobody waits for one of his own.
   * @param isFit whether that server looks like the session that asks
   */
  tryShare(isFit: (server: ServerConnection) => boolean): ServerConnection | undefined {
    const { state } = this;
    if (state.line.length > 0 || state.isPaused) return undefined;
    const now = state.options.nowMs();
    this.crowdedUntilMs = now + crowdedMs;
    const server = state.lanes.choose(now, isFit);
    if (server !== undefined) state.figures.checkouts++;
    this.logins.open(1);
    return server;
  }

  /**
   * A place in a write that is about to leave for one server. Only while the pool has lately been short of idle servers:
   * a system call saved is worth more than PostgreSQL's parallel work then, and only then.
   */
  tryJoin(isFit: (server: ServerConnection) => boolean): ServerConnection | undefined {
    const { state } = this;
    const now = state.options.nowMs();
    if (now >= this.crowdedUntilMs || state.line.length > 0 || state.isPaused) return undefined;
    const server = state.lanes.joinable(now, isFit);
    if (server !== undefined) state.figures.checkouts++;
    return server;
  }

  /** A lane has room (again): those at the head of the line who can share it do. */
  fillLane(server: ServerConnection): void {
    this.returns.fillLane(server);
  }

  /** From now on others may share it (its client only reads), or not. */
  setLane(server: ServerConnection, isLane: boolean): void {
    const { lanes, options } = this.state;
    if (!isLane) lanes.close(server);
    else if (server.isAlive) lanes.open(server, options.nowMs());
  }

  /**
   * Joins the line. `sinceMs`: when the client began to wait (it may come from another pool's line).
   * The waiter may be refused at once (a log-in that is known to fail).
   */
  wait(waiter: Waiter, sinceMs: number): Ticket | undefined {
    const refusal = this.logins.refusalNow();
    if (refusal !== undefined) return void waiter.refused(refusal, waiter.mayGoElsewhere);
    const ticket = this.state.line.join(waiter, sinceMs, sinceMs + this.state.settings.queryWaitTimeoutMs);
    this.logins.open();
    return ticket;
  }

  /** The client is done. `isDirty`: clean it before anybody else gets it. */
  checkin(server: ServerConnection, isDirty: boolean): void {
    this.returns.checkin(server, isDirty);
  }

  /**
   * A new server in the place of one that its client cannot use, for that client alone. Undefined: there is none now, and
   * the place is free.
   */
  renew(server: ServerConnection): Promise<ServerConnection | undefined> {
    const { state } = this;
    const isPossible = state.all.has(server) && !state.isPaused && !state.isClosed;
    // Through `closed` whoever waits would take the place.
    if (isPossible) state.all.delete(server);
    state.lanes.leave(server);
    server.close('its client cannot use it');
    return isPossible ? this.logins.renew() : Promise.resolve(undefined);
  }

  /** A server was handed out, but to no client: SHOW STATS counts what clients get. */
  uncount(): void {
    this.state.uncount();
  }

  /* ---- for operators and the resize controller ---- */

  get limit(): number {
    return this.state.limit;
  }

  get min(): number {
    return this.state.min;
  }

  get max(): number {
    return this.state.max;
  }

  setLimit(limit: number, reason: ResizeReason, why: string): void {
    const { state } = this;
    const to = Math.max(1, Math.floor(limit));
    if (to === state.limit) return;
    state.figures.resized({ atMs: Date.now(), from: state.limit, to, reason, why });
    state.limit = to;
    while (state.all.size > state.limit && state.idle.length > 0)
      (state.idle[0] as ServerConnection).close('the pool was made smaller');
    state.options.onResize(this.stats());
    this.logins.open();
  }

  setBounds(bounds: Bounds, why: string): void {
    const { limit, min, max } = resized(this.state, bounds);
    this.state.min = min;
    this.state.max = max;
    this.setLimit(limit, 'operator', why);
    this.logins.open();
  }

  /** New settings after a reload. Only when they bring other sizes is what an operator or the controller did undone. */
  reconfigure(settings: PoolSettings): void {
    const { state } = this;
    const before = state.settings;
    state.settings = settings;
    if (!isOtherSize(before, settings)) return this.logins.open();
    state.min = settings.minPoolSize;
    state.max = settings.maxPoolSize;
    const isOtherDefault = before.defaultPoolSize !== settings.defaultPoolSize;
    const limit = isOtherDefault ? settings.defaultPoolSize : state.limit;
    this.setLimit(
      resized({ limit, min: state.min, max: state.max }, {}).limit,
      'reload',
      'the configuration was reloaded',
    );
    this.logins.open();
  }

  pause(): void {
    this.state.isPaused = true;
    for (const server of [...this.state.idle]) server.close('PAUSE');
  }

  resume(): void {
    const { state } = this;
    state.isPaused = false;
    this.logins.endPause();
    while (state.idle.length > 0 && state.line.length > 0) {
      this.returns.grant(takeIdle(state.idle, state.settings.serverRoundRobin));
    }
    this.logins.open();
  }

  /** There is something new to log in with. */
  tryAgain(): void {
    this.logins.tryAgain();
  }

  reconnect(): void {
    for (const server of this.state.all) server.isCloseNeeded = true;
    for (const server of [...this.state.idle]) server.close('RECONNECT');
  }

  /** Everybody in line asks again where to go: the node's role or health changed. */
  sendElsewhere(why: string): void {
    const error = new WeirError('no_node', { database: this.database, why });
    for (const ticket of this.state.line.takeWhere(() => true)) ticket.waiter.refused(error, true);
  }

  /** No more connections; those in use are closed when they come back. */
  close(): void {
    this.state.isClosed = true;
    this.sendElsewhere('the pool is closed');
    for (const server of [...this.state.idle]) server.close('shutting down');
    this.logins.leaveBudget();
  }

  /** Called about ten times a second: deadlines, lifetimes, idle connections, retries. */
  sweep(): void {
    const now = this.state.options.nowMs();
    sweepPool(this.state, this.logins.lastError, now);
    this.returns.sweep(now);
    this.logins.open();
  }

  /* ---- figures ---- */

  servers(): ReadonlySet<ServerConnection> {
    return this.state.all;
  }

  get inUse(): number {
    return this.state.all.size - this.state.idle.length;
  }

  get isUnused(): boolean {
    return this.state.all.size === 0 && this.state.logins === 0 && this.state.line.length === 0;
  }

  takeMaxWaitMs(): number {
    const { figures } = this.state;
    const max = Math.max(figures.maxWaitMs, this.state.longestWaitMs());
    figures.maxWaitMs = 0;
    return max;
  }

  takePeakInUse(): number {
    const { figures } = this.state;
    const peak = Math.max(figures.peakInUse, this.inUse);
    figures.peakInUse = 0;
    return peak;
  }

  takeServerFull(): number {
    const { figures } = this.state;
    const times = figures.serverFull;
    figures.serverFull = 0;
    return times;
  }

  waitHistogram(): WaitHistogram {
    return this.state.figures.histogram();
  }

  stats(): PoolStats {
    return this.state.stats();
  }
}
