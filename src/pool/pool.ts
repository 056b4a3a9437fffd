/**
 * Connections of one (database, user, node): hands them out, opens more when somebody waits, cleans and closes them.
 * How many it may have is set from outside (control/pressure.ts, operators). Knows nothing of SQL or clients.
 * No generic pool library underneath: docs/adr/0001-own-pool.md says why.
 */
import type { PoolSettings } from '../config/config.ts';
import { WeirError } from '../errors.ts';
import type { ServerConnection } from '../backend/server.ts';
import type { NodeBudget, BudgetMember } from './budget.ts';
import type { PoolControl, PoolStats, ResizeReason, WaitHistogram } from './types.ts';
import { PoolFigures } from './pool-figures.ts';
import { WaiterLine, type Ticket, type Waiter } from './waiters.ts';

/** What a failed log-in means for those who wait. */
export interface ConnectProblem {
  readonly message: string;
  /** Everybody would fail the same way: wrong password, no such database. Waiters are told so. */
  readonly isFinal: boolean;
  /** 53300: the server has no room. */
  readonly isServerFull: boolean;
  /** As the server said it, for a client's ErrorResponse. */
  readonly sqlstate: string | undefined;
}

export interface PoolOptions {
  readonly database: string;
  readonly user: string;
  readonly node: string;
  readonly settings: PoolSettings;
  readonly budget: NodeBudget;
  readonly nowMs: () => number;
  readonly random: () => number;
  /** Opens one connection; rejects with a ConnectProblem. `onClosed` tells of its end, whenever that is. */
  readonly connect: (onClosed: (server: ServerConnection) => void) => Promise<ServerConnection>;
  readonly onResize: (pool: Pool) => void;
}

/** Log-ins at once: a pool that starts up may hurry a little more. */
const maxLogins = { warm: 2, empty: 4 };
const resetTimeoutMs = 5_000;

export class Pool implements PoolControl, BudgetMember {
  readonly database: string;
  readonly user: string;
  readonly node: string;
  /** The node's role when somebody last looked: its servers must not outlive it. */
  role: 'primary' | 'replica' | 'unknown' = 'unknown';
  private settings: PoolSettings;
  private readonly options: PoolOptions;
  private readonly line = new WaiterLine();
  private readonly figures = new PoolFigures();
  private readonly idle: ServerConnection[] = [];
  private readonly all = new Set<ServerConnection>();
  private readonly expiresAtMs = new WeakMap<ServerConnection, number>();
  private logins = 0;
  private resetting = 0;
  private limit: number;
  private min: number;
  private max: number;
  private isPaused = false;
  private isClosed = false;
  private retryAtMs = 0;
  private refusal: { readonly error: WeirError; readonly untilMs: number } | undefined;

  constructor(options: PoolOptions) {
    this.options = options;
    this.database = options.database;
    this.user = options.user;
    this.node = options.node;
    this.settings = options.settings;
    this.limit = options.settings.defaultPoolSize;
    this.min = options.settings.minPoolSize;
    this.max = options.settings.maxPoolSize;
    options.budget.join(this);
  }

  /* ---- for sessions ---- */

  /** A server at once, if one is idle and nobody waits for it already. */
  tryCheckout(): ServerConnection | undefined {
    if (this.idle.length === 0 || this.line.length > 0 || this.isPaused) return undefined;
    const server = this.idle.pop() as ServerConnection;
    this.handedOut(server);
    return server;
  }

  /**
   * Joins the line. `sinceMs`: when the client began to wait (it may come from another pool's line).
   * The waiter may be refused at once (a log-in that is known to fail).
   */
  wait(waiter: Waiter, sinceMs: number): Ticket | undefined {
    const now = this.options.nowMs();
    if (this.refusal !== undefined && this.all.size === 0) {
      if (now < this.refusal.untilMs) {
        waiter.refused(this.refusal.error, false);
        return undefined;
      }
      this.refusal = undefined;
    }
    const ticket = this.line.join(waiter, sinceMs, sinceMs + this.settings.queryWaitTimeoutMs);
    this.open();
    return ticket;
  }

  /** The client is done. `isDirty`: clean it before anybody else gets it. */
  checkin(server: ServerConnection, isDirty: boolean): void {
    this.figures.heldTotalMs += this.options.nowMs() - server.requestAtMs;
    server.holder = undefined;
    if (!server.isAlive) return;
    if (server.cancelling !== undefined) return this.afterCancel(server, isDirty);
    if (server.isCloseNeeded || this.isClosed || this.all.size > this.limit || this.isExpired(server)) {
      server.close('no longer needed');
      return;
    }
    if (isDirty) this.reset(server);
    else this.available(server);
  }

  /** A cancel that is still on its way would hit the next client's statement: the server waits for it. */
  private afterCancel(server: ServerConnection, isDirty: boolean): void {
    server.state = 'resetting';
    this.resetting++;
    const arrived = (): void => {
      this.resetting--;
      server.cancelling = undefined;
      server.requestAtMs = this.options.nowMs();
      this.checkin(server, isDirty);
    };
    server.cancelling?.then(arrived, arrived);
  }

  /* ---- opening and closing ---- */

  private reset(server: ServerConnection): void {
    server.state = 'resetting';
    this.resetting++;
    const timer = setTimeout(() => server.destroy('the reset took too long'), resetTimeoutMs);
    const done = (): void => {
      clearTimeout(timer);
      this.resetting--;
    };
    server.run('DISCARD ALL').then(
      () => {
        done();
        server.prepared.clear();
        server.settings = undefined;
        server.unnamed = undefined;
        server.isSuspect = false;
        if (server.isCloseNeeded || this.isClosed || this.all.size > this.limit) server.close('no longer needed');
        else this.available(server);
      },
      (error: Error) => {
        done();
        server.destroy(`the reset failed: ${error.message}`);
      },
    );
  }

  private available(server: ServerConnection): void {
    const ticket = this.isPaused ? undefined : this.line.take();
    if (ticket === undefined) {
      server.state = 'idle';
      server.requestAtMs = this.options.nowMs();
      this.idle.push(server);
      return;
    }
    this.grant(server, ticket);
  }

  private grant(server: ServerConnection, ticket: Ticket): void {
    this.figures.waited(this.options.nowMs() - ticket.sinceMs);
    this.handedOut(server);
    ticket.waiter.granted(server);
  }

  private handedOut(server: ServerConnection): void {
    server.state = 'active';
    server.requestAtMs = this.options.nowMs();
    this.figures.checkouts++;
    const inUse = this.all.size - this.idle.length - this.resetting;
    if (inUse > this.figures.peakInUse) this.figures.peakInUse = inUse;
  }

  /** Opens connections while somebody would otherwise have to wait, or fewer than `min` are there. */
  private open(): void {
    if (this.isClosed || this.isPaused) return;
    if (this.options.nowMs() < this.retryAtMs) return;
    for (;;) {
      const coming = this.logins + this.resetting;
      const isWanted = this.line.length > coming || this.all.size + this.logins < Math.min(this.min, this.limit);
      if (!isWanted || this.all.size + this.logins >= this.limit) return;
      if (this.logins >= (this.all.size === 0 ? maxLogins.empty : maxLogins.warm)) return;
      if (!this.options.budget.tryTake(this)) return;
      this.login();
    }
  }

  private login(): void {
    this.logins++;
    this.options
      .connect((server) => this.closed(server))
      .then(
        (server) => this.loggedIn(server),
        (problem: ConnectProblem) => this.loginFailed(problem),
      );
  }

  private loggedIn(server: ServerConnection): void {
    this.logins--;
    this.figures.connects++;
    this.figures.connectProblem = undefined;
    this.retryAtMs = 0;
    this.refusal = undefined;
    if (!server.isAlive) {
      this.options.budget.give();
      this.open();
      return;
    }
    this.all.add(server);
    // Connections opened together should not all end together.
    this.expiresAtMs.set(
      server,
      this.options.nowMs() + this.settings.serverLifetimeMs * (0.9 + 0.1 * this.options.random()),
    );
    if (this.isClosed || this.all.size > this.limit) server.close('no longer needed');
    else this.available(server);
    this.open();
  }

  private loginFailed(problem: ConnectProblem): void {
    this.logins--;
    this.options.budget.give();
    this.figures.connectFailures++;
    this.figures.connectProblem = problem.message;
    if (problem.isServerFull) this.figures.serverFull++;
    const now = this.options.nowMs();
    this.retryAtMs = now + this.settings.serverLoginRetryMs;
    const error = new WeirError('server_login_failed', { node: this.node, why: problem.message });
    if (problem.isFinal) {
      this.refusal = { error, untilMs: now + Math.max(1_000, this.settings.serverLoginRetryMs) };
      // Whoever has a connection keeps it; those in line would only wait for the same refusal.
      if (this.all.size === 0)
        for (const ticket of this.line.takeWhere(() => true)) ticket.waiter.refused(error, false);
    } else if (!problem.isServerFull) {
      for (const ticket of this.line.takeWhere((waiting) => waiting.waiter.mayGoElsewhere)) {
        ticket.waiter.refused(error, true);
      }
    }
  }

  private closed(server: ServerConnection): void {
    // One that died before `loggedIn` saw it is given back there.
    if (!this.all.delete(server)) return;
    const at = this.idle.indexOf(server);
    if (at !== -1) this.idle.splice(at, 1);
    this.options.budget.give();
    this.open();
  }

  private isExpired(server: ServerConnection): boolean {
    return this.options.nowMs() >= (this.expiresAtMs.get(server) ?? Infinity);
  }

  yieldIdle(): boolean {
    if (this.line.length > 0 || this.all.size <= this.min) return false;
    const server = this.idle[0];
    if (server === undefined) return false;
    server.close('another pool of this node needs the place');
    return true;
  }

  /** Called about ten times a second: deadlines, lifetimes, idle connections, retries. */
  sweep(): void {
    const now = this.options.nowMs();
    for (
      let oldest = this.line.oldest();
      oldest !== undefined && now >= oldest.deadlineMs;
      oldest = this.line.oldest()
    ) {
      this.line.take();
      this.figures.waitTimeouts++;
      this.figures.waited(now - oldest.sinceMs);
      oldest.waiter.refused(this.timeoutError(now - oldest.sinceMs), false);
    }
    const { serverIdleTimeoutMs } = this.settings;
    // Index 0 has been idle for longest; LIFO hand-out keeps the surplus at this end.
    while (this.idle.length > 0) {
      const server = this.idle[0] as ServerConnection;
      const isSurplus =
        serverIdleTimeoutMs > 0 && now - server.requestAtMs > serverIdleTimeoutMs && this.all.size > this.min;
      if (!isSurplus && !server.isCloseNeeded) break;
      server.close(isSurplus ? 'server_idle_timeout' : 'no longer needed');
    }
    const expired = this.idle.find((server) => this.isExpired(server));
    expired?.close('server_lifetime');
    this.open();
  }

  private timeoutError(waitedMs: number): WeirError {
    if (this.all.size === 0 && this.figures.connectProblem !== undefined) {
      return new WeirError('server_login_failed', { node: this.node, why: this.figures.connectProblem });
    }
    const pool = `${this.database}.${this.user} on ${this.node}`;
    return new WeirError('query_wait_timeout', { waited: Math.round(waitedMs), pool, limit: this.limit });
  }

  /* ---- PoolControl ---- */

  setLimit(limit: number, reason: ResizeReason, why: string): void {
    const to = Math.max(1, Math.floor(limit));
    if (to === this.limit) return;
    this.figures.resized({ atMs: Date.now(), from: this.limit, to, reason, why });
    this.limit = to;
    while (this.all.size > this.limit && this.idle.length > 0)
      (this.idle[0] as ServerConnection).close('the pool was made smaller');
    this.options.onResize(this);
    this.open();
  }

  setBounds(bounds: { min?: number | undefined; max?: number | undefined }, why: string): void {
    this.min = bounds.min ?? this.min;
    this.max = bounds.max ?? this.max;
    if (this.min > this.max) {
      if (bounds.max === undefined) this.max = this.min;
      else this.min = this.max;
    }
    this.setLimit(Math.min(Math.max(this.limit, this.min), this.max), 'operator', why);
    this.open();
  }

  /** New settings after a reload; bounds that an operator moved are the file's again. */
  reconfigure(settings: PoolSettings): void {
    this.settings = settings;
    this.setBounds({ min: settings.minPoolSize, max: settings.maxPoolSize }, 'the configuration was reloaded');
  }

  pause(): void {
    this.isPaused = true;
    for (const server of [...this.idle]) server.close('PAUSE');
  }

  resume(): void {
    this.isPaused = false;
    this.retryAtMs = 0;
    while (this.idle.length > 0 && this.line.length > 0) {
      this.grant(this.idle.pop() as ServerConnection, this.line.take() as Ticket);
    }
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
    const oldest = this.line.oldest();
    const waiting = oldest === undefined ? 0 : this.options.nowMs() - oldest.sinceMs;
    const max = Math.max(this.figures.maxWaitMs, waiting);
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
    const oldest = this.line.oldest();
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
      active: this.all.size - this.idle.length - this.resetting,
      idle: this.idle.length,
      login: this.logins,
      resetting: this.resetting,
      pinned,
      waiting: this.line.length,
      maxWaitMs: oldest === undefined ? 0 : this.options.nowMs() - oldest.sinceMs,
      isPaused: this.isPaused,
      checkouts: figures.checkouts,
      waitedTotalMs: figures.waitedTotalMs,
      waits: figures.waits,
      waitTimeouts: figures.waitTimeouts,
      heldTotalMs: figures.heldTotalMs,
      connects: figures.connects,
      connectFailures: figures.connectFailures,
      connectProblem: figures.connectProblem,
      lastResize: figures.lastResize,
      resizes: figures.resizes,
    };
  }
}
