/**
 * Servers that come back to a pool: cleaned if need be, then given to the one who has waited longest, kept idle, or closed.
 * Made by pool.ts; logins.ts brings it those that are new.
 */
import type { ServerConnection } from '../backend/server.ts';
import type { PoolState } from './pool-state.ts';
import { resetServer } from './reset.ts';
import type { Ticket } from './waiters.ts';

const resetTimeoutMs = 5_000;

export class Returns {
  private readonly state: PoolState;

  constructor(state: PoolState) {
    this.state = state;
  }

  /** The client is done. `isDirty`: clean it before anybody else gets it. */
  checkin(server: ServerConnection, isDirty: boolean): void {
    const { state } = this;
    state.figures.heldTotalMs += state.options.nowMs() - server.requestAtMs;
    state.lanes.close(server);
    if (!server.isAlive) return;
    if (server.cancelling !== undefined) return this.afterCancel(server, isDirty);
    if (state.isExpired(server) || state.settings.serverLifetimeMs === 0) server.isCloseNeeded = true;
    if (isDirty && !state.isUnwanted(server)) this.reset(server);
    else this.available(server);
  }

  /** A cancel that is still on its way would hit the next client's statement: the server waits for it. */
  private afterCancel(server: ServerConnection, isDirty: boolean): void {
    const { state } = this;
    server.state = 'resetting';
    state.resetting.set(server, Infinity);
    const arrived = (): void => {
      state.resetting.delete(server);
      server.cancelling = undefined;
      server.requestAtMs = state.options.nowMs();
      this.checkin(server, isDirty);
    };
    server.cancelling?.then(arrived, arrived);
  }

  private reset(server: ServerConnection): void {
    const { state } = this;
    server.state = 'resetting';
    state.resetting.set(server, state.options.nowMs() + resetTimeoutMs);
    server.reset = resetServer(server).then(
      () => {
        state.resetting.delete(server);
        if (server.isAlive) this.available(server);
      },
      (error: Error) => server.destroy(`the reset failed: ${error.message}`),
    );
  }

  available(server: ServerConnection): void {
    const { state } = this;
    if (state.isUnwanted(server)) return server.close('no longer needed');
    const ticket = state.line.take();
    if (ticket === undefined) {
      server.state = 'idle';
      server.requestAtMs = state.options.nowMs();
      state.idle.push(server);
      return;
    }
    this.grant(server, ticket);
  }

  grant(server: ServerConnection, ticket: Ticket): void {
    const { state } = this;
    state.figures.waited(state.options.nowMs() - ticket.sinceMs);
    state.handedOut(server);
    ticket.waiter.granted(server);
    this.fillLane(server);
  }

  /** A lane has room (again): those at the head of the line who can share it do. Nobody overtakes who cannot. */
  fillLane(server: ServerConnection): void {
    const { state } = this;
    while (state.line.length > 0 && !state.isPaused) {
      const first = state.line.oldest() as Ticket;
      const now = state.options.nowMs();
      if (!state.lanes.takes(server, now) || !first.waiter.mayShare(server)) return;
      state.line.take();
      state.figures.checkouts++;
      state.figures.waited(now - first.sinceMs);
      first.waiter.granted(server);
    }
  }

  /** Resets that hang. */
  sweep(nowMs: number): void {
    for (const [server, deadlineMs] of this.state.resetting) {
      if (nowMs >= deadlineMs) server.destroy('the reset took too long');
    }
  }
}
