/**
 * Opens servers for a pool: when, how many at once, and what becomes of those who wait when a log-in fails. Gives places
 * back to the node's budget. Made by pool.ts.
 */
import type { ServerConnection } from '../backend/server.ts';
import type { WeirError } from '../errors.ts';
import type { BudgetMember } from './budget.ts';
import { failedLogin } from './failed-login.ts';
import type { ConnectProblem } from './options.ts';
import type { PoolState } from './pool-state.ts';
import type { Returns } from './returns.ts';

/** Log-ins at once: a pool that starts up may hurry a little more. */
const maxLogins = { warm: 2, empty: 4 };
/** What a server refuses for good it is not asked for again so soon; a database may be created meanwhile. */
const refusedMs = 2_000;

export class Logins implements BudgetMember {
  private readonly state: PoolState;
  private readonly returns: Returns;
  private retryAtMs = 0;
  /** What the last try to log in has come to, if it failed. */
  lastError: WeirError | undefined;
  private refusal: { readonly error: WeirError; readonly untilMs: number } | undefined;

  constructor(state: PoolState, returns: Returns) {
    this.state = state;
    this.returns = returns;
    state.options.budget.join(this);
  }

  /** Opens connections while somebody would otherwise have to wait or to share (`sharing`), or fewer than `min` are there. */
  open(sharing = 0): void {
    const { state } = this;
    if (state.isClosed || state.isPaused) return;
    if (state.options.nowMs() < this.retryAtMs) return;
    for (;;) {
      const coming = state.logins + state.resetting.size;
      const isWanted =
        state.line.length + sharing > coming || state.all.size + state.logins < Math.min(state.min, state.limit);
      if (!isWanted || state.all.size + state.logins >= state.limit) return;
      if (state.logins >= (state.all.size === 0 ? maxLogins.empty : maxLogins.warm)) return;
      if (!state.options.budget.tryTake(this)) return;
      this.login();
    }
  }

  /** What everybody would be told who waits now; undefined: it may be tried. */
  refusalNow(): WeirError | undefined {
    const { refusal, state } = this;
    if (refusal === undefined || state.all.size > 0) return undefined;
    if (state.options.nowMs() < refusal.untilMs) return refusal.error;
    this.refusal = undefined;
    return undefined;
  }

  /** The pause after a failure is over. */
  endPause(): void {
    this.retryAtMs = 0;
  }

  /** There is something new to log in with: what failed before says nothing about the next try. */
  tryAgain(): void {
    this.refusal = undefined;
    this.endPause();
    this.open();
  }

  /** One for a client whose own is gone. Undefined: it failed, or the new one is gone or not wanted, too. */
  async renew(): Promise<ServerConnection | undefined> {
    const { state } = this;
    state.logins++;
    const fresh = await state.options
      .connect((gone) => this.closed(gone))
      .catch((problem: ConnectProblem) => void this.failed(problem));
    if (fresh === undefined) return undefined;
    if (!this.joined(fresh)) this.open();
    else if (state.isUnwanted(fresh)) fresh.close('no longer needed');
    else if (state.handedOut(fresh)) {
      // For the client that was counted with the one before.
      state.uncount();
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
    if (this.joined(server)) this.returns.available(server);
    // Opened for nobody, or for somebody who has left.
    if (server.state === 'idle') server.login.takeNotices();
    this.open();
  }

  /** False: it is gone already. */
  private joined(server: ServerConnection): boolean {
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
      // Whoever has a connection keeps it; those in line would only wait for the same refusal.
      if (state.all.size === 0)
        for (const { waiter } of state.line.takeWhere(() => true)) waiter.refused(error, waiter.mayGoElsewhere);
    } else if (!problem.isServerFull) {
      for (const ticket of state.line.takeWhere((waiting) => waiting.waiter.mayGoElsewhere)) {
        ticket.waiter.refused(error, true);
      }
    }
  }

  private closed(server: ServerConnection): void {
    // One that died before `joined` saw it is given back there.
    if (!this.state.remove(server)) return;
    this.state.options.budget.give();
    this.open();
  }

  yieldIdle(): boolean {
    const { line, all, min, idle } = this.state;
    if (line.length > 0 || all.size <= min) return false;
    const [server] = idle;
    if (server === undefined) return false;
    server.close('another pool of this node needs the place');
    return true;
  }

  /** No more log-ins: the pool is closed. */
  leaveBudget(): void {
    this.state.options.budget.leave(this);
  }
}
