/**
 * The server connections of one (database, user, node): hands them out to sessions, and does what operators and the resize
 * controller ask for. returns.ts takes them back, logins.ts opens them. Knows nothing of SQL or clients. Made by
 * app/database-pools.ts. Why it is not built on a pool library: docs/adr/0001-own-pool.md.
 */
import type { PoolSettings } from '../config/config.ts';
import { WeirError } from '../errors/errors.ts';
import type { ServerConnection } from '../backend/server.ts';
import { isOtherSize, resized, type Bounds, type PoolSize } from './bounds.ts';
import { takeChecked } from './check.ts';
import { Logins } from './logins.ts';
import type { PoolOptions } from './options.ts';
import { PoolState } from './pool-state.ts';
import { Returns } from './returns.ts';
import type { StatementsAtOnce } from './statements-at-once.ts';
import { sweepPool } from './sweep.ts';
import type { PoolControl, PoolStats, ResizeReason, ResizeRecord, WaitHistogram } from './types.ts';
import type { QueueEntry } from './wait-line.ts';
import type { Waiter } from './waiter.ts';

export type { ConnectProblem, PoolOptions } from './options.ts';

/** For this long after a short read has found no idle server, such reads are sent together (tryJoin). */
const joinMs = 100;

export class Pool implements PoolControl {
  readonly database: string;
  readonly user: string;
  readonly node: string;
  /** The node's role as of the last change of the topology. When it changes, all servers are closed. */
  role: 'primary' | 'replica' | 'unknown' = 'unknown';
  readonly atOnce: StatementsAtOnce;
  /** With server_fast_close: servers whose clients are to end with them. */
  readonly endsSession = new WeakSet<ServerConnection>();
  private readonly state: PoolState;
  private readonly returns: Returns;
  private readonly logins: Logins;
  private joinUntilMs = 0;

  constructor(options: PoolOptions) {
    this.database = options.database;
    this.user = options.user;
    this.node = options.node;
    this.state = new PoolState(options);
    this.atOnce = this.state.queue.atOnce;
    this.returns = new Returns(this.state);
    this.logins = new Logins(this.state, this.returns);
  }

  /* ---- for sessions ---- */

  /**
   * An idle server, if there is one and no client waits for it already.
   * @param isFit preferred are servers whose session state is what the client needs already
   */
  tryCheckout(isFit?: (server: ServerConnection) => boolean): ServerConnection | undefined {
    const { state } = this;
    if (state.idle.length === 0 || state.queue.length > 0 || state.isPaused || state.isHeldBack) return undefined;
    const server = takeChecked(state, isFit);
    return server === undefined || state.handedOut(server) ? server : this.tryCheckout(isFit);
  }

  /** That very server, if it is idle and no client waits for one already. */
  tryTake(server: ServerConnection): ServerConnection | undefined {
    const { state } = this;
    const at = state.idle.indexOf(server);
    if (at === -1 || state.queue.length > 0 || state.isPaused) return undefined;
    state.idle.splice(at, 1);
    return state.handedOut(server) ? server : undefined;
  }

  /**
   * A server in a lane, for a short read behind those of other clients. Asked for when no server is idle. Undefined also while
   * clients wait in the queue.
   * @param isFit only servers whose session state is what the client needs already
   */
  tryShare(isFit: (server: ServerConnection) => boolean): ServerConnection | undefined {
    const { state } = this;
    if (state.queue.length > 0 || state.isPaused) return undefined;
    const now = state.options.nowMs();
    this.joinUntilMs = now + joinMs;
    const server = state.lanes.choose(now, isFit);
    if (server !== undefined) state.figures.checkouts++;
    if (!state.isHeldBack) this.logins.open(1);
    return server;
  }

  /**
   * A server in a lane whose bytes are sent at the end of this turn. Only shortly after the pool had no idle server: then it is
   * faster to save a system call than to let PostgreSQL run the reads at the same time.
   */
  tryJoin(isFit: (server: ServerConnection) => boolean): ServerConnection | undefined {
    const { state } = this;
    const now = state.options.nowMs();
    if (now >= this.joinUntilMs || state.queue.length > 0 || state.isPaused) return undefined;
    const server = state.lanes.joinable(now, isFit);
    if (server !== undefined) state.figures.checkouts++;
    return server;
  }

  /** A statement of a transaction that goes on has ended: another one may begin. */
  statementEnded(): void {
    if (this.atOnce.isLimited) this.returns.serveIdle();
  }

  /** A client has left the lane: clients from the head of the queue may take its place. */
  fillLane(server: ServerConnection): void {
    this.returns.fillLane(server);
  }

  /** Whether other clients may share the server from now on: its client sends a short read, or something else. */
  setLane(server: ServerConnection, isLane: boolean): void {
    const { lanes, options } = this.state;
    if (!isLane) lanes.close(server);
    else if (server.isAlive) lanes.open(server, options.nowMs());
  }

  /**
   * Joins the queue. Undefined: refused at once, because every log-in fails.
   * @param sinceMs when the client began to wait, perhaps in the queue of another pool
   */
  wait(waiter: Waiter, sinceMs: number): QueueEntry | undefined {
    const refusal = this.logins.refusalNow();
    if (refusal !== undefined) return void waiter.refused(refusal, waiter.mayGoElsewhere);
    const entry = this.state.queue.join(waiter, sinceMs, sinceMs + this.state.settings.queryWaitTimeoutMs);
    this.returns.checkIdle();
    this.logins.open();
    return entry;
  }

  /** The last client that had the server gives it back. `isDirty`: it must be reset before the next one; not `isUsed`: Weir had it. */
  checkin(server: ServerConnection, isDirty: boolean, isUsed = true): void {
    this.returns.checkin(server, isDirty, isUsed);
  }

  /**
   * Closes a server that its client cannot use, and opens a new one for that client alone. Undefined: there is none, and others
   * may take the place.
   */
  renew(server: ServerConnection): Promise<ServerConnection | undefined> {
    const { state } = this;
    const isPossible = state.all.has(server) && !state.isPaused && !state.isClosed;
    // Otherwise Logins.closed() would open a server for another client in its place.
    if (isPossible) state.all.delete(server);
    state.lanes.leave(server);
    server.close('its client cannot use it');
    return isPossible ? this.logins.renew(server) : Promise.resolve(undefined);
  }

  /** The last checkout was not for a client: SHOW STATS counts the servers that clients get. */
  uncountCheckout(): void {
    this.state.uncountCheckout();
  }

  /* ---- for operators and the resize controller ---- */

  get limit(): number {
    return this.state.size.limit;
  }

  get min(): number {
    return this.state.size.min;
  }

  get max(): number {
    return this.state.size.max;
  }

  setLimit(limit: number, reason: ResizeReason, why: string): void {
    const { state } = this;
    const to = Math.max(1, Math.floor(limit));
    if (to === state.size.limit) return;
    state.figures.resized({ atMs: Date.now(), from: state.size.limit, to, reason, why });
    state.moveLimit(to);
    state.options.onResize(this.stats());
    this.logins.sizeChanged();
  }

  keepWarm(count: number): void {
    this.logins.keepWarm(count);
  }

  setBounds(bounds: Bounds, why: string): void {
    const { limit, min, max } = resized(this.state.size, bounds);
    Object.assign(this.state.size, { min, max });
    this.setLimit(limit, 'operator', why);
    this.logins.sizeChanged();
  }

  /** The size that the pool has in all processes together, which count and log changes elsewhere. */
  setSize({ limit, min }: Pick<PoolSize, 'limit' | 'min'>, lastResize: ResizeRecord | undefined): void {
    const { size, figures, settings } = this.state;
    // The limit may be above the maximum by the reserve; by more, if another process knows of a new maximum first.
    Object.assign(size, { min, max: Math.max(size.max, limit - settings.reservePoolSize) });
    figures.lastResize = lastResize ?? figures.lastResize;
    this.state.moveLimit(limit);
    this.logins.open();
  }

  /** New settings after a reload. If the sizes in them are the same, those that an operator or the controller has set stay. */
  reconfigure(settings: PoolSettings): void {
    const { state } = this;
    const before = state.settings;
    state.settings = settings;
    if (!isOtherSize(before, settings)) return this.logins.open();
    const { defaultPoolSize, minPoolSize: min, maxPoolSize: max } = settings;
    Object.assign(state.size, { min, max });
    const limit = before.defaultPoolSize === defaultPoolSize ? state.size.limit : defaultPoolSize;
    const fitted = resized({ limit, min, max }, {});
    this.setLimit(fitted.limit, 'reload', 'its settings were changed');
    this.logins.sizeChanged();
  }

  pause(why: 'PAUSE' | 'KILL' = 'PAUSE'): void {
    this.state.isPaused = true;
    for (const server of [...this.state.idle]) server.close(why);
  }

  resume(): void {
    const { state } = this;
    state.isPaused = false;
    this.logins.endPause();
    this.returns.serveIdle();
    this.logins.open();
  }

  /** The credentials have changed. */
  tryAgain(): void {
    this.logins.tryAgain();
  }

  reconnect(): void {
    this.state.replaceAll();
    const isFast = this.state.settings.serverFastClose && this.isSession;
    if (isFast) for (const server of this.state.all) this.endsSession.add(server);
    for (const server of [...this.state.idle]) server.close('RECONNECT');
  }

  /** Takes all clients out of the queue, to be routed again: the role or the health of the node has changed. */
  sendElsewhere(why: string): void {
    const error = new WeirError('no_node', { database: this.database, why });
    for (const entry of this.state.queue.takeWhere(() => true)) entry.waiter.refused(error, true);
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
    this.returns.serveIdle();
    this.logins.open();
  }

  /* ---- figures ---- */

  get isSession(): boolean {
    return this.state.settings.poolMode === 'session';
  }

  servers(): ReadonlySet<ServerConnection> {
    return this.state.all;
  }

  get inUse(): number {
    return this.state.all.size - this.state.idle.length;
  }

  get isUnused(): boolean {
    return this.state.all.size === 0 && this.state.logins === 0 && this.state.queue.length === 0;
  }

  takeMaxWaitMs(): number {
    return this.state.figures.takePeak('maxWaitMs', this.state.longestWaitMs());
  }

  takePeakInUse(): number {
    return this.state.figures.takePeak('peakInUse', this.inUse);
  }

  takeServerFull(): number {
    return this.state.figures.takePeak('serverFull', 0);
  }

  waitHistogram(): WaitHistogram {
    return this.state.figures.histogram();
  }

  stats(): PoolStats {
    return this.state.stats();
  }
}
