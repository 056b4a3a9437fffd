/**
 * What a pool does because time has passed: closes idle servers that are not needed or too old, refuses clients that have waited
 * query_wait_timeout or, in an overload, less, and tells short reads in a slow lane to run elsewhere. Called by pool.ts about ten
 * times a second.
 */
import type { ServerConnection } from '../backend/server.ts';
import type { WeirError } from '../errors/errors.ts';
import type { PoolState } from './pool-state.ts';
import { longestWaitMs } from './overload.ts';
import { overloaded, shedForBudget, waitTimeout } from './wait-timeout.ts';

/** @param loginError why the last log-in failed; undefined: it did not */
export function sweepPool(state: PoolState, loginError: WeirError | undefined, nowMs: number): void {
  state.noteLoad(nowMs);
  const { atOnce, length: waiting } = state.queue;
  if (atOnce.isMeasured) atOnce.look(state.all, waiting);
  if (state.queue.length > 0) endWaits(state, loginError, nowMs);
  if (state.queue.length > 0) shedLow(state, nowMs);
  const { queryWaitNotifyMs } = state.settings;
  if (queryWaitNotifyMs > 0 && state.queue.length > 0) state.queue.tellQueued(nowMs - queryWaitNotifyMs);
  watchLoad(state, loginError, nowMs);
  closeIdle(state, nowMs);
  // In use: closed when it comes back. Looked for here and not there, because a server comes back thousands of times a second.
  for (const server of state.all) {
    if (server.state !== 'idle' && state.isExpired(server, nowMs)) server.isCloseNeeded = true;
  }
  for (const server of state.lanes.closeHeldUp(nowMs)) {
    for (const receiver of server.answers.behindHead()) receiver.heldUp('the one ahead in its lane took too long');
  }
}

function closeIdle(state: PoolState, nowMs: number): void {
  const { idle, all, size } = state;
  const { serverIdleTimeoutMs } = state.settings;
  // The first one has been idle for longest: the others are handed out before it.
  while (idle.length > 0) {
    const server = idle[0] as ServerConnection;
    const isSurplus =
      serverIdleTimeoutMs > 0 &&
      nowMs - server.requestAtMs > serverIdleTimeoutMs &&
      all.size > Math.max(size.minHere, size.warm);
    if (!isSurplus && !server.isCloseNeeded) break;
    server.close(isSurplus ? 'server_idle_timeout' : 'no longer needed');
  }
  const expired = idle.find((server) => state.isExpired(server, nowMs));
  expired?.close('server_lifetime');
}

/** Looks at the whole queue: a client that comes from the queue of another pool has waited longer than its place says. */
function endWaits(state: PoolState, loginError: WeirError | undefined, nowMs: number): void {
  const { size, logins, isPaused } = state;
  const now = {
    open: state.all.size,
    resetting: state.resetting.size,
    limit: size.limit,
    logins,
    loginError,
    isPaused,
    isHeldBack: state.isHeldBack,
  };
  for (const { sinceMs, waiter } of state.queue.takeWhere((entry) => nowMs >= entry.deadlineMs)) {
    state.figures.waitTimeouts++;
    state.figures.waited(nowMs - sinceMs);
    waiter.refused(waitTimeout(state.options, now, nowMs - sinceMs), false);
  }
}

/** While a budget burns, if its actions ask for it: those of low priority make room for the others. */
function shedLow({ queue, options, figures, isPaused }: PoolState, nowMs: number): void {
  const why = isPaused ? undefined : options.lowDoesNotWait?.();
  if (why === undefined) return;
  for (const { sinceMs, waiter } of queue.takeWhere((entry) => entry.waiter.priority === 'low')) {
    figures.waited(nowMs - sinceMs);
    waiter.refused(shedForBudget(options, why), false);
  }
}

/** Notices the beginning and the end of an overload; in it, tells those early who have waited longest. */
function watchLoad(state: PoolState, loginError: WeirError | undefined, nowMs: number): void {
  const { queue, options, settings } = state;
  const { overload } = queue;
  const isAtCapacity = loginError === undefined && state.looksFull();
  const { length: waiting } = queue;
  const line = queue.oldest()?.line.figuresIn(overload.interval);
  const look = { nowMs, waiting, oldestMs: state.longestWaitMs(), line, isAtCapacity };
  if (overload.look(look, settings)) options.onOverload(state.stats());
  if (overload.state === 'healthy') return;
  const mostMs = longestWaitMs(settings, false);
  const mostForLowMs = longestWaitMs(settings, true);
  const late = queue.takeWhere(
    ({ sinceMs, waiter }) => nowMs - sinceMs > (waiter.priority === 'low' ? mostForLowMs : mostMs),
  );
  for (const { sinceMs, waiter } of late) {
    overload.refusals++;
    state.figures.waited(nowMs - sinceMs);
    const retryMs = overload.drainMs(waiting, settings);
    const now = { open: state.all.size, isHeldBack: state.isHeldBack, waiting, retryMs };
    waiter.refused(overloaded(options, now, nowMs - sinceMs), false);
  }
}
