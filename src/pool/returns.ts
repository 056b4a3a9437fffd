/**
 * Takes servers back into a pool: resets them if needed, and then hands them to the client that is next in the queue, keeps them
 * idle, or closes them. Made by pool.ts; logins.ts brings it the new ones.
 */
import type { ServerConnection } from '../backend/server.ts';
import { checkServer, checkTookTooLong, checksUnderWay, mustCheckNext } from './check.ts';
import { takeIdle } from './idle.ts';
import type { PoolState } from './pool-state.ts';
import { resetServer } from './reset.ts';
import type { QueueEntry } from './wait-line.ts';

const resetTimeoutMs = 5_000;

export class Returns {
  private readonly state: PoolState;

  constructor(state: PoolState) {
    this.state = state;
  }

  /** See Pool.checkin(). */
  checkin(server: ServerConnection, isDirty: boolean, isUsed = true): void {
    const { state } = this;
    const nowMs = state.options.nowMs();
    const heldMs = nowMs - server.requestAtMs;
    state.figures.heldTotalMs += heldMs;
    state.queue.shares.returned(server, heldMs);
    if (server.state === 'shared') state.lanes.leave(server);
    if (server.isAlive && server.move('given back')) this.assign(server, isDirty, nowMs, isUsed);
  }

  /** Decides what becomes of a server that was given back. */
  private assign(server: ServerConnection, isDirty: boolean, nowMs: number, isUsed = true): void {
    const { state } = this;
    if (server.cancelling !== undefined) return this.afterCancel(server, server.cancelling, isDirty);
    if (isUsed && state.settings.serverLifetimeMs === 0) server.isCloseNeeded = true;
    if (isDirty && !state.isUnwanted(server)) this.reset(server);
    else this.available(server, nowMs);
  }

  /** A CancelRequest that is under way could cancel a statement of the next client: nobody gets the server until it has arrived. */
  private afterCancel(server: ServerConnection, cancelling: Promise<void>, isDirty: boolean): void {
    const { state } = this;
    if (!server.move('waits for cancel')) return;
    state.resetting.set(server, Infinity);
    const arrived = (): void => {
      state.resetting.delete(server);
      const nowMs = state.options.nowMs();
      server.requestAtMs = nowMs;
      if (server.isAlive && server.move('cancel arrived')) this.assign(server, isDirty, nowMs);
    };
    cancelling.then(arrived, arrived);
  }

  private reset(server: ServerConnection): void {
    const { state } = this;
    if (!server.move('reset begun')) return;
    state.resetting.set(server, state.options.nowMs() + resetTimeoutMs);
    const { afterReset } = state.options;
    const reset = resetServer(server);
    server.reset = (afterReset === undefined ? reset : reset.then(() => afterReset(server))).then(
      () => {
        state.resetting.delete(server);
        if (server.isAlive && server.move('reset done')) this.available(server);
      },
      (error: Error) => server.destroy(`the reset failed: ${error.message}`),
    );
  }

  /** A server that needs no reset: closed, handed out or kept. */
  available(server: ServerConnection, nowMs = this.state.options.nowMs()): void {
    const { state } = this;
    if (state.isUnwanted(server)) return server.close('no longer needed');
    if (state.queue.length > 0 && !state.isHeldBack) return this.grant(server, nowMs);
    if (!server.move('kept idle')) return;
    server.requestAtMs = nowMs;
    state.idle.push(server);
  }

  /** Hands idle servers to those who wait, who have waited for the end of a pause, or for another statement. */
  serveIdle(): void {
    const { state } = this;
    while (state.idle.length > 0 && state.queue.length > 0 && !state.isPaused && !state.isHeldBack) {
      if (mustCheckNext(state)) return this.checkIdle();
      this.grant(takeIdle(state.idle, state.settings.serverRoundRobin));
    }
  }

  /** For each client that waits: asks one of the servers that were idle for long whether it works. */
  checkIdle(): void {
    const { state } = this;
    const { idle, queue } = state;
    if (idle.length === 0 || state.isPaused || state.isHeldBack || !mustCheckNext(state)) return;
    for (let missing = queue.length - checksUnderWay(state); missing > 0 && idle.length > 0; missing--) {
      const server = takeIdle(idle, state.settings.serverRoundRobin);
      checkServer(state, server, () => this.available(server));
    }
  }

  /** Hands it to the client that is next in the queue. There must be one. */
  grant(server: ServerConnection, nowMs = this.state.options.nowMs()): void {
    const { state } = this;
    if (!state.handedOut(server, nowMs)) return;
    state.takeNext(nowMs, server).waiter.granted(server);
    this.fillLane(server);
  }

  /** Clients from the head of the queue share the lane while it has room, up to the first one that cannot. */
  fillLane(server: ServerConnection): void {
    const { state } = this;
    if (state.queue.length === 0) return;
    const now = state.options.nowMs();
    while (state.queue.length > 0 && !state.isPaused) {
      const next = state.queue.next() as QueueEntry;
      if (!state.lanes.takes(server, now) || !next.waiter.mayShare(server)) return;
      state.takeNext(now);
      state.figures.checkouts++;
      next.waiter.granted(server);
    }
  }

  /** Closes servers whose reset, or check, takes too long. */
  sweep(nowMs: number): void {
    for (const [server, deadlineMs] of [...this.state.resetting]) {
      if (nowMs < deadlineMs) continue;
      if (server.state === 'being checked') checkTookTooLong(this.state, server);
      else server.destroy('the reset took too long');
    }
  }
}
