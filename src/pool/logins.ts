/**
 * Opens the server connections of a pool: when, how many at the same time, and what waiting clients are told when a log-in
 * fails. Takes places from the budget of the node, and gives them back. Made by pool.ts.
 */
import type { ServerConnection } from '../backend/server.ts';
import type { WeirError } from '../errors/errors.ts';
import type { BudgetMember } from './budget-types.ts';
import type { ResizeRecord } from './types.ts';
import { failedLogin, refuseWaiting } from './failed-login.ts';
import type { ConnectProblem } from './options.ts';
import type { PoolState } from './pool-state.ts';
import type { Returns } from './returns.ts';
import { closeIdle, yieldIdle, yieldNext } from './yielding.ts';

/** Log-ins at the same time: of a pool that has a server, and of one that has none. */
const maxLogins = { warm: 2, empty: 4 };
/** After a refusal that is not for now only (no such database, wrong password), the next try is at least this much later. */
const refusedMs = 2_000;
/** For this long after a client had to share a server, the pool is taken to want another one. */
const sharingMs = 100;

export class Logins implements BudgetMember {
  private readonly state: PoolState;
  private readonly returns: Returns;
  private retryAtMs = 0;
  /** Why the last log-in failed; undefined: it did not. */
  lastError: WeirError | undefined;
  private refusal: { readonly error: WeirError; readonly untilMs: number } | undefined;
  /** Clients that share a server for want of another one, and until when they are taken to want it. */
  private readonly sharing = { clients: 0, untilMs: 0 };
  readonly yieldIdle = (): boolean => yieldIdle(this.state);
  readonly yieldNext = (): boolean => yieldNext(this.state);
  readonly closeIdle = (): boolean => closeIdle(this.state);

  constructor(state: PoolState, returns: Returns) {
    this.state = state;
    this.returns = returns;
    state.options.budget.join(this);
  }

  /**
   * Opens connections while clients wait or share a server, or fewer than min_pool_size are open.
   * @param sharing how many clients share a server for want of another one
   */
  open(sharing = 0): void {
    if (!this.mayOpen) return;
    while (this.missing(sharing) > 0) {
      if (!this.state.options.budget.tryTake(this)) return this.refusedPlace(sharing);
      this.login();
    }
  }

  /** Opens connections ahead of a predicted load, in places that no other pool has to give up. */
  private openAhead(): void {
    const { size, options } = this.state;
    if (size.warm === 0 || !this.mayOpen) return;
    const isRoom = (): boolean => options.budget.shortage(options) === undefined && options.budget.tryTake(this);
    while (Math.min(this.below(size.warm), this.mostNow) > 0 && isRoom()) this.login();
  }

  /** Called twice a second, so that a place which another pool has been given is not taken back at once. */
  keepWarm(count: number): void {
    this.state.size.warm = count;
    this.openAhead();
  }

  private get mayOpen(): boolean {
    const { state } = this;
    return !state.isClosed && !state.isPaused && state.options.nowMs() >= this.retryAtMs;
  }

  /** How many connections would be opened now. */
  private missing(sharing: number): number {
    const forClients = this.missingForClients(sharing);
    return Math.min(Math.max(forClients, this.below(this.state.size.minHere)), this.mostNow);
  }

  private below(count: number): number {
    const { all, logins, size } = this.state;
    return Math.min(count, size.limit) - all.size - logins;
  }

  private missingForClients(sharing: number): number {
    const { queue, logins, resetting, idle, isHeldBack } = this.state;
    // They wait for the end of a statement, not for a connection.
    if (isHeldBack || idle.length > 0) return 0;
    return queue.length + sharing - logins - resetting.size;
  }

  /** How many may be opened now, by the limit of the pool and that of log-ins at the same time. */
  private get mostNow(): number {
    const { all, logins, size } = this.state;
    return Math.min(size.limit - all.size - logins, (all.size === 0 ? maxLogins.empty : maxLogins.warm) - logins);
  }

  /** Remembers for the budget that clients who share a server would use another one. */
  private refusedPlace(sharing: number): void {
    if (sharing === 0) return;
    this.sharing.clients = sharing;
    this.sharing.untilMs = this.state.options.nowMs() + sharingMs;
  }

  private get sharingNow(): number {
    const { clients, untilMs } = this.sharing;
    return clients > 0 && this.state.options.nowMs() < untilMs ? clients : 0;
  }

  /** The error for a client that would begin to wait now, if the last log-in was refused; undefined: it may wait. */
  refusalNow(): WeirError | undefined {
    const { refusal, state } = this;
    if (refusal === undefined || state.all.size > 0) return undefined;
    if (state.options.nowMs() < refusal.untilMs) return refusal.error;
    this.refusal = undefined;
    return undefined;
  }

  /** Log-ins need not wait any longer for the end of server_login_retry. */
  endPause(): void {
    this.retryAtMs = 0;
  }

  /** The credentials have changed, so earlier failures say nothing about the next log-in. */
  tryAgain(): void {
    this.refusal = undefined;
    this.endPause();
    this.open();
  }

  /** Opens one for the client whose server Pool.renew() has closed. Undefined: the log-in failed, or the new one is closed already. */
  async renew(closed: ServerConnection): Promise<ServerConnection | undefined> {
    const { state } = this;
    const { reconnects } = state;
    state.logins++;
    const isVacated = state.options.budget.vacated(this, closed);
    if (isVacated !== undefined && !(await isVacated)) {
      state.logins--;
      this.open();
      return undefined;
    }
    const fresh = await state.options
      .connect((gone) => this.closed(gone))
      .catch((problem: ConnectProblem) => void this.failed(problem));
    if (fresh === undefined) return undefined;
    if (!this.addToPool(fresh, reconnects)) this.open();
    else if (state.isUnwanted(fresh)) fresh.close('no longer needed');
    else if (state.handedOut(fresh)) {
      // The client was counted when it got the server before this one.
      state.uncountCheckout();
      return fresh;
    }
    return undefined;
  }

  private login(): void {
    const { reconnects } = this.state;
    this.state.logins++;
    this.state.options
      .connect((server) => this.closed(server))
      .then(
        (server) => this.loggedIn(server, reconnects),
        (problem: ConnectProblem) => this.failed(problem),
      );
  }

  private loggedIn(server: ServerConnection, reconnects: number): void {
    if (this.addToPool(server, reconnects)) this.returns.available(server);
    // It was opened for no client, or for one that has left meanwhile.
    if (server.state === 'idle') server.login.takeNotices();
    this.open();
    this.openAhead();
  }

  /**
   * @param reconnects when its log-in began
   * @returns false: it is closed already
   */
  private addToPool(server: ServerConnection, reconnects: number): boolean {
    const { state } = this;
    state.logins--;
    state.figures.connects++;
    state.figures.connectProblem = this.lastError = undefined;
    this.retryAtMs = 0;
    this.refusal = undefined;
    state.options.budget.opened(this, server);
    if (!server.isAlive) {
      state.options.budget.give(this, server);
      return false;
    }
    // It may have begun with what is not so any more.
    if (reconnects !== state.reconnects) server.isCloseNeeded = true;
    state.add(server);
    return server.move('logged in');
  }

  private failed(problem: ConnectProblem): void {
    const { state } = this;
    const { serverLoginRetryMs } = state.settings;
    state.logins--;
    state.figures.connectFailed(problem);
    const now = state.options.nowMs();
    this.retryAtMs = now + serverLoginRetryMs;
    const error = (this.lastError = failedLogin(state.options.node, problem));
    if (problem.refusal !== undefined) {
      this.retryAtMs = now + Math.max(refusedMs, serverLoginRetryMs);
      this.refusal = { error, untilMs: this.retryAtMs };
    }
    // Now that this pool does not log in for a while: whoever else waits may have the place.
    state.options.budget.give(this);
    refuseWaiting(state, problem, error);
  }

  private closed(server: ServerConnection): void {
    // False if it was closed before addToPool(), which gives its place back.
    if (!this.state.remove(server)) return;
    this.state.options.budget.give(this, server);
    this.open();
  }

  /* ---- for the budget ---- */

  get database(): string {
    return this.state.options.database;
  }

  get user(): string {
    return this.state.options.user;
  }

  get node(): string {
    return this.state.options.node;
  }

  get limit(): number {
    return this.state.size.limit;
  }

  get min(): number {
    return this.state.size.min;
  }

  get lastResize(): ResizeRecord | undefined {
    return this.state.figures.lastResize;
  }

  get inUse(): number {
    return this.state.all.size - this.state.idle.length;
  }

  takePeakInUse(): number {
    return this.state.figures.takePeak('peakForBudget', this.inUse);
  }

  get waiting(): number {
    return this.mayOpen ? this.state.queue.length + this.sharingNow : 0;
  }

  get wanted(): number {
    return this.mayOpen ? Math.max(0, Math.min(this.missingForClients(this.sharingNow), this.mostNow)) : 0;
  }

  get wantedForMin(): number {
    return this.mayOpen ? Math.max(0, Math.min(this.below(this.state.size.minHere), this.mostNow)) : 0;
  }

  get starvedMs(): number {
    const { all, logins } = this.state;
    return all.size + logins === 0 && this.mayOpen ? this.state.longestWaitMs() : 0;
  }

  keepNext(): void {
    this.state.size.yieldTo = Infinity;
  }

  retry(): void {
    this.open(this.sharingNow);
  }

  keepAtLeast(count: number): void {
    if (count === this.state.size.atLeast) return;
    this.state.size.atLeast = count;
    this.open();
  }

  keepAtMost(count: number): void {
    this.state.size.atMost = count;
  }

  /** The limit or the minimum of the pool has changed. */
  sizeChanged(): void {
    this.state.options.budget.resized(this);
    this.open();
  }

  /** The pool is closed and opens no more connections. */
  leaveBudget(): void {
    this.state.options.budget.leave(this);
  }
}
