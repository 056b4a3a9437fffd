/**
 * Opens the server connections of a pool: when, how many at the same time, and what waiting clients are told when a log-in
 * fails. Takes places from the budget of the node, and gives them back. Made by pool.ts.
 */
import type { ServerConnection } from '../backend/server.ts';
import type { WeirError } from '../errors/errors.ts';
import type { BudgetMember } from './budget.ts';
import { failedLogin } from './failed-login.ts';
import type { ConnectProblem } from './options.ts';
import type { PoolState } from './pool-state.ts';
import type { Returns } from './returns.ts';

/** Log-ins at the same time: of a pool that has a server, and of one that has none. */
const maxLogins = { warm: 2, empty: 4 };
/** After a refusal that is not for now only (no such database, wrong password), the next try is at least this much later. */
const refusedMs = 2_000;

export class Logins implements BudgetMember {
  private readonly state: PoolState;
  private readonly returns: Returns;
  private retryAtMs = 0;
  /** Why the last log-in failed; undefined: it did not. */
  lastError: WeirError | undefined;
  private refusal: { readonly error: WeirError; readonly untilMs: number } | undefined;

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
    const { state } = this;
    if (state.isClosed || state.isPaused) return;
    if (state.options.nowMs() < this.retryAtMs) return;
    for (;;) {
      const coming = state.logins + state.resetting.size;
      const isWanted =
        state.queue.length + sharing > coming || state.all.size + state.logins < Math.min(state.min, state.limit);
      if (!isWanted || state.all.size + state.logins >= state.limit) return;
      if (state.logins >= (state.all.size === 0 ? maxLogins.empty : maxLogins.warm)) return;
      if (!state.options.budget.tryTake(this)) return;
      this.login();
    }
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
  async renew(): Promise<ServerConnection | undefined> {
    const { state } = this;
    state.logins++;
    const fresh = await state.options
      .connect((gone) => this.closed(gone))
      .catch((problem: ConnectProblem) => void this.failed(problem));
    if (fresh === undefined) return undefined;
    if (!this.addToPool(fresh)) this.open();
    else if (state.isUnwanted(fresh)) fresh.close('no longer needed');
    else if (state.handedOut(fresh)) {
      // The client was counted when it got the server before this one.
      state.uncountCheckout();
      return fresh;
    }
    return undefined;
  }

  private login(): void {
    this.state.logins++;
    this.state.options
      .connect((server) => this.closed(server))
      .then(
        (server) => this.loggedIn(server),
        (problem: ConnectProblem) => this.failed(problem),
      );
  }

  private loggedIn(server: ServerConnection): void {
    if (this.addToPool(server)) this.returns.available(server);
    // It was opened for no client, or for one that has left meanwhile.
    if (server.state === 'idle') server.login.takeNotices();
    this.open();
  }

  /** False: it is closed already. */
  private addToPool(server: ServerConnection): boolean {
    const { state } = this;
    state.logins--;
    state.figures.connects++;
    state.figures.connectProblem = this.lastError = undefined;
    this.retryAtMs = 0;
    this.refusal = undefined;
    if (!server.isAlive) {
      state.options.budget.give();
      return false;
    }
    state.add(server);
    return server.move('logged in');
  }

  private failed(problem: ConnectProblem): void {
    const { state } = this;
    const { serverLoginRetryMs } = state.settings;
    state.logins--;
    state.options.budget.give();
    state.figures.connectFailed(problem);
    const now = state.options.nowMs();
    this.retryAtMs = now + serverLoginRetryMs;
    const error = (this.lastError = failedLogin(state.options.node, problem));
    if (problem.refusal !== undefined) {
      this.retryAtMs = now + Math.max(refusedMs, serverLoginRetryMs);
      this.refusal = { error, untilMs: this.retryAtMs };
      // Clients that have a server keep it. Those in the queue would only wait for the same refusal.
      if (state.all.size === 0)
        for (const { waiter } of state.queue.takeWhere(() => true)) waiter.refused(error, waiter.mayGoElsewhere);
    } else if (!problem.isServerFull) {
      for (const entry of state.queue.takeWhere((waiting) => waiting.waiter.mayGoElsewhere)) {
        entry.waiter.refused(error, true);
      }
    }
  }

  private closed(server: ServerConnection): void {
    // False if it was closed before addToPool(), which gives its place back.
    if (!this.state.remove(server)) return;
    this.state.options.budget.give();
    this.open();
  }

  yieldIdle(): boolean {
    const { queue, all, min, idle } = this.state;
    if (queue.length > 0 || all.size <= min) return false;
    const [server] = idle;
    if (server === undefined) return false;
    server.close('another pool of this node needs the place');
    return true;
  }

  /** The pool is closed and opens no more connections. */
  leaveBudget(): void {
    this.state.options.budget.leave(this);
  }
}
