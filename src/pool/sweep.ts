/**
 * What comes due in a pool by the passing of time: idle servers that are too many or too old, clients that have waited too
 * long, short reads that are held up. Called by pool.ts about ten times a second.
 */
import type { ServerConnection } from '../backend/server.ts';
import type { WeirError } from '../errors.ts';
import type { PoolState } from './pool-state.ts';
import { waitTimeout } from './wait-timeout.ts';

/** @param loginError what the last log-in has come to, if it failed */
export function sweepPool(state: PoolState, loginError: WeirError | undefined, nowMs: number): void {
  if (state.line.length > 0) endWaits(state, loginError, nowMs);
  closeIdle(state, nowMs);
  for (const server of state.lanes.heldUp(nowMs)) {
    for (const receiver of server.answers.behindHead()) receiver.heldUp('the one ahead in its lane took too long');
  }
}

function closeIdle(state: PoolState, nowMs: number): void {
  const { idle, all, min } = state;
  const { serverIdleTimeoutMs } = state.settings;
  // Index 0 has been idle for longest; LIFO hand-out keeps the surplus at this end.
  while (idle.length > 0) {
    const server = idle[0] as ServerConnection;
    const isSurplus = serverIdleTimeoutMs > 0 && nowMs - server.requestAtMs > serverIdleTimeoutMs && all.size > min;
    if (!isSurplus && !server.isCloseNeeded) break;
    server.close(isSurplus ? 'server_idle_timeout' : 'no longer needed');
  }
  const expired = idle.find((server) => state.isExpired(server));
  expired?.close('server_lifetime');
}

/** Not only at the head of the line: somebody may have begun to wait in another one. */
function endWaits(state: PoolState, loginError: WeirError | undefined, nowMs: number): void {
  const { limit, logins, isPaused } = state;
  const now = { open: state.all.size, resetting: state.resetting.size, limit, logins, loginError, isPaused };
  for (const { sinceMs, waiter } of state.line.takeWhere((ticket) => nowMs >= ticket.deadlineMs)) {
    state.figures.waitTimeouts++;
    state.figures.waited(nowMs - sinceMs);
    waiter.refused(waitTimeout(state.options, now, nowMs - sinceMs), false);
  }
}
