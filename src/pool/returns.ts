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
    state.lanes.leave(server);
    if (server.isAlive && server.move('given back')) this.assign(server, isDirty);
  }

  private assign(server: ServerConnection, isDirty: boolean): void {
    const { state } = this;
    if (server.cancelling !== undefined) return this.afterCancel(server, server.cancelling, isDirty);
    if (state.isExpired(server) || state.settings.serverLifetimeMs === 0) server.isCloseNeeded = true;
    if (isDirty && !state.isUnwanted(server)) this.reset(server);
    else this.available(server);
  }

  /** A cancel that is still on its way would hit the next client's statement: the server waits for it. */
  private afterCancel(server: ServerConnection, cancelling: Promise<void>, isDirty: boolean): void {
    const { state } = this;
    if (!server.move('waits for cancel')) return;
    state.resetting.set(server, Infinity);
    const arrived = (): void => {
      state.resetting.delete(server);
      server.requestAtMs = state.options.nowMs();
      if (server.isAlive && server.move('cancel arrived')) this.assign(server, isDirty);
    };
    cancelling.then(arrived, arrived);
  }

  private reset(server: ServerConnection): void {
    const { state } = this;
    if (!server.move('reset begun')) return;
    state.resetting.set(server, state.options.nowMs() + resetTimeoutMs);
    server.reset = resetServer(server).then(
      () => {
        state.resetting.delete(server);
        if (server.isAlive && server.move('reset done')) this.available(server);
      },
      (error: Error) => server.destroy(`the reset failed: ${error.message}`),
    );
  }

  available(server: ServerConnection): void {
    const { state } = this;
    if (state.isUnwanted(server)) return server.close('no longer needed');
    if (state.line.length > 0) return this.grant(server);
    if (!server.move('kept idle')) return;
    server.requestAtMs = state.options.nowMs();
    state.idle.push(server);
  }

  /** To the one who has waited longest. There must be one. */
  grant(server: ServerConnection): void {
    const { state } = this;
    if (!state.handedOut(server)) return;
    const ticket = state.line.take() as Ticket;
    state.figures.waited(state.options.nowMs() - ticket.sinceMs);
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
