/**
 * The heart of a pool: hands connections out, opens more when somebody waits, cleans and closes them. What operators and
 * the resize controller do with it is pool.ts. Knows nothing of SQL or clients.
 */
import type { PoolSettings } from '../config/config.ts';
import type { WeirError } from '../errors.ts';
import type { ServerConnection } from '../backend/server.ts';
import type { BudgetMember } from './budget.ts';
import { failedLogin } from './failed-login.ts';
import type { ConnectProblem, PoolOptions } from './options.ts';
import { takeIdle } from './idle.ts';
import { Lanes } from './lanes.ts';
import { PoolFigures } from './pool-figures.ts';
import { resetServer } from './reset.ts';
import { waitTimeout } from './wait-timeout.ts';
import { WaiterLine, type Ticket, type Waiter } from './waiters.ts';

/** Log-ins at once: a pool that starts up may hurry a little more. */
const maxLogins = { warm: 2, empty: 4 };
/** So long after no server was idle for a short read, such reads leave together. */
const crowdedMs = 100;
const resetTimeoutMs = 5_000;
/** What a server refuses for good it is not asked for again so soon; a database may be created meanwhile. */
const refusedMs = 2_000;

export class PoolCore implements BudgetMember {
  readonly database: string;
  readonly user: string;
  readonly node: string;
  /** The node's role when somebody last looked: its servers must not outlive it. */
  role: 'primary' | 'replica' | 'unknown' = 'unknown';
  protected settings: PoolSettings;
  protected readonly options: PoolOptions;
  protected readonly line = new WaiterLine();
  protected readonly figures = new PoolFigures();
  protected readonly idle: ServerConnection[] = [];
  protected readonly lanes = new Lanes();
  protected readonly all = new Set<ServerConnection>();
  protected readonly expiresAtMs = new WeakMap<ServerConnection, number>();
  /** Those that are made ready for the next client, and until when that may take. */
  protected readonly resetting = new Map<ServerConnection, number>();
  protected logins = 0;
  limit: number;
  min: number;
  max: number;
  protected isPaused = false;
  protected isClosed = false;
  protected crowdedUntilMs = 0;
  protected retryAtMs = 0;
  /** What the last try to log in has come to, if it failed. */
  protected loginError: WeirError | undefined;
  protected refusal: { readonly error: WeirError; readonly untilMs: number } | undefined;

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

  /**
   * A server at once, if one is idle and nobody waits for it already: the one used last, or one of those used last
   * to which `isFit` is true (it looks like the session that asks already).
   */
  tryCheckout(isFit?: (server: ServerConnection) => boolean): ServerConnection | undefined {
    if (this.idle.length === 0 || this.line.length > 0 || this.isPaused) return undefined;
    const server = this.takeIdle(isFit);
    this.handedOut(server);
    return server;
  }

  /** That very server, if it is idle and nobody waits for it already. */
  tryTake(server: ServerConnection): ServerConnection | undefined {
    const at = this.idle.indexOf(server);
    if (at === -1 || this.line.length > 0 || this.isPaused) return undefined;
    this.idle.splice(at, 1);
    this.handedOut(server);
    return server;
  }

  protected takeIdle(isFit?: (server: ServerConnection) => boolean): ServerConnection {
    return takeIdle(this.idle, this.settings.serverRoundRobin, isFit);
  }

  /**
   * A place behind other clients' short reads on one server, when no server is idle and nobody waits for one of his own.
   * @param isFit whether that server looks like the session that asks
   */
  tryShare(isFit: (server: ServerConnection) => boolean): ServerConnection | undefined {
    if (this.line.length > 0 || this.isPaused) return undefined;
    const now = this.options.nowMs();
    this.crowdedUntilMs = now + crowdedMs;
    const server = this.lanes.choose(now, isFit);
    if (server !== undefined) this.figures.checkouts++;
    this.open(1);
    return server;
  }

  /**
   * A place in a write that is about to leave for one server. Only while the pool has lately been short of idle servers:
   * a system call saved is worth more than PostgreSQL's parallel work then, and only then.
   */
  tryJoin(isFit: (server: ServerConnection) => boolean): ServerConnection | undefined {
    const now = this.options.nowMs();
    if (now >= this.crowdedUntilMs || this.line.length > 0 || this.isPaused) return undefined;
    const server = this.lanes.joinable(now, isFit);
    if (server !== undefined) this.figures.checkouts++;
    return server;
  }

  /** A lane has room (again): those at the head of the line who can share it do. Nobody overtakes who cannot. */
  fillLane(server: ServerConnection): void {
    while (this.line.length > 0 && !this.isPaused) {
      const first = this.line.oldest() as Ticket;
      const now = this.options.nowMs();
      if (!this.lanes.takes(server, now) || !first.waiter.mayShare(server)) return;
      this.line.take();
      this.figures.checkouts++;
      this.figures.waited(now - first.sinceMs);
      first.waiter.granted(server);
    }
  }

  /** From now on others may share it (its client only reads), or not. */
  setLane(server: ServerConnection, isLane: boolean): void {
    if (isLane && server.isAlive) this.lanes.open(server, this.options.nowMs());
    else this.lanes.close(server);
  }

  /**
   * Joins the line. `sinceMs`: when the client began to wait (it may come from another pool's line).
   * The waiter may be refused at once (a log-in that is known to fail).
   */
  wait(waiter: Waiter, sinceMs: number): Ticket | undefined {
    const now = this.options.nowMs();
    if (this.refusal !== undefined && this.all.size === 0) {
      if (now < this.refusal.untilMs) return void waiter.refused(this.refusal.error, waiter.mayGoElsewhere);
      this.refusal = undefined;
    }
    const ticket = this.line.join(waiter, sinceMs, sinceMs + this.settings.queryWaitTimeoutMs);
    this.open();
    return ticket;
  }

  /** The client is done. `isDirty`: clean it before anybody else gets it. */
  checkin(server: ServerConnection, isDirty: boolean): void {
    this.figures.heldTotalMs += this.options.nowMs() - server.requestAtMs;
    this.lanes.close(server);
    if (!server.isAlive) return;
    if (server.cancelling !== undefined) return this.afterCancel(server, isDirty);
    if (this.isExpired(server) || this.settings.serverLifetimeMs === 0) server.isCloseNeeded = true;
    if (isDirty && !this.isUnwanted(server)) this.reset(server);
    else this.available(server);
  }

  /** Nobody shall get it any more. */
  protected isUnwanted(server: ServerConnection): boolean {
    return server.isCloseNeeded || this.isClosed || this.isPaused || this.all.size > this.limit;
  }

  /** A cancel that is still on its way would hit the next client's statement: the server waits for it. */
  protected afterCancel(server: ServerConnection, isDirty: boolean): void {
    server.state = 'resetting';
    this.resetting.set(server, Infinity);
    const arrived = (): void => {
      this.resetting.delete(server);
      server.cancelling = undefined;
      server.requestAtMs = this.options.nowMs();
      this.checkin(server, isDirty);
    };
    server.cancelling?.then(arrived, arrived);
  }

  /* ---- opening and closing ---- */

  protected reset(server: ServerConnection): void {
    server.state = 'resetting';
    this.resetting.set(server, this.options.nowMs() + resetTimeoutMs);
    server.reset = resetServer(server).then(
      () => {
        this.resetting.delete(server);
        if (server.isAlive) this.available(server);
      },
      (error: Error) => server.destroy(`the reset failed: ${error.message}`),
    );
  }

  protected available(server: ServerConnection): void {
    if (this.isUnwanted(server)) return server.close('no longer needed');
    const ticket = this.line.take();
    if (ticket === undefined) {
      server.state = 'idle';
      server.requestAtMs = this.options.nowMs();
      this.idle.push(server);
      return;
    }
    this.grant(server, ticket);
  }

  protected grant(server: ServerConnection, ticket: Ticket): void {
    this.figures.waited(this.options.nowMs() - ticket.sinceMs);
    this.handedOut(server);
    ticket.waiter.granted(server);
    this.fillLane(server);
  }

  protected handedOut(server: ServerConnection): void {
    server.state = 'active';
    server.requestAtMs = this.options.nowMs();
    this.figures.checkouts++;
    const inUse = this.all.size - this.idle.length - this.resetting.size;
    if (inUse > this.figures.peakInUse) this.figures.peakInUse = inUse;
  }

  /** Opens connections while somebody would otherwise have to wait or to share (`sharing`), or fewer than `min` are there. */
  protected open(sharing = 0): void {
    if (this.isClosed || this.isPaused) return;
    if (this.options.nowMs() < this.retryAtMs) return;
    for (;;) {
      const coming = this.logins + this.resetting.size;
      const isWanted =
        this.line.length + sharing > coming || this.all.size + this.logins < Math.min(this.min, this.limit);
      if (!isWanted || this.all.size + this.logins >= this.limit) return;
      if (this.logins >= (this.all.size === 0 ? maxLogins.empty : maxLogins.warm)) return;
      if (!this.options.budget.tryTake(this)) return;
      this.login();
    }
  }

  protected login(): void {
    this.logins++;
    this.options
      .connect((server) => this.closed(server))
      .then(
        (server) => this.loggedIn(server),
        (problem: ConnectProblem) => this.loginFailed(problem),
      );
  }

  protected loggedIn(server: ServerConnection): void {
    if (this.joined(server)) this.available(server);
    // Opened for nobody, or for somebody who has left.
    if (server.state === 'idle') server.notices = [];
    this.open();
  }

  /** False: it is gone already. */
  protected joined(server: ServerConnection): boolean {
    this.logins--;
    this.figures.connects++;
    this.figures.connectProblem = this.loginError = undefined;
    this.retryAtMs = 0;
    this.refusal = undefined;
    if (!server.isAlive) {
      this.options.budget.give();
      return false;
    }
    this.all.add(server);
    // Connections opened together should not all end together.
    const lifetimeMs = this.settings.serverLifetimeMs * (0.9 + 0.1 * this.options.random());
    if (lifetimeMs > 0) this.expiresAtMs.set(server, this.options.nowMs() + lifetimeMs);
    return true;
  }

  protected loginFailed(problem: ConnectProblem): void {
    this.logins--;
    this.options.budget.give();
    this.figures.connectFailed(problem);
    const now = this.options.nowMs();
    this.retryAtMs = now + this.settings.serverLoginRetryMs;
    const error = (this.loginError = failedLogin(this.node, problem));
    if (problem.refusal !== undefined) {
      this.retryAtMs = now + Math.max(refusedMs, this.settings.serverLoginRetryMs);
      this.refusal = { error, untilMs: this.retryAtMs };
      // Whoever has a connection keeps it; those in line would only wait for the same refusal.
      if (this.all.size === 0)
        for (const { waiter } of this.line.takeWhere(() => true)) waiter.refused(error, waiter.mayGoElsewhere);
    } else if (!problem.isServerFull) {
      for (const ticket of this.line.takeWhere((waiting) => waiting.waiter.mayGoElsewhere)) {
        ticket.waiter.refused(error, true);
      }
    }
  }

  protected closed(server: ServerConnection): void {
    // One that died before `loggedIn` saw it is given back there.
    if (!this.all.delete(server)) return;
    this.resetting.delete(server);
    this.lanes.close(server);
    const at = this.idle.indexOf(server);
    if (at !== -1) this.idle.splice(at, 1);
    this.options.budget.give();
    this.open();
  }

  protected isExpired(server: ServerConnection): boolean {
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
    if (this.line.length > 0) this.endWaits(now);
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
    for (const server of this.lanes.heldUp(now)) {
      for (const receiver of server.answers.behindHead()) receiver.heldUp('the one ahead in its lane took too long');
    }
    for (const [server, deadlineMs] of this.resetting) if (now >= deadlineMs) server.destroy('the reset took too long');
    this.open();
  }

  /** Not only at the head of the line: somebody may have begun to wait in another one. */
  private endWaits(nowMs: number): void {
    const { limit, logins, loginError, isPaused } = this;
    const state = { open: this.all.size, resetting: this.resetting.size, limit, logins, loginError, isPaused };
    for (const { sinceMs, waiter } of this.line.takeWhere((ticket) => nowMs >= ticket.deadlineMs)) {
      this.figures.waitTimeouts++;
      this.figures.waited(nowMs - sinceMs);
      waiter.refused(waitTimeout(this.options, state, nowMs - sinceMs), false);
    }
  }
}
