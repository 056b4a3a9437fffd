/**
 * server_check_query: asks a server connection that was idle for long whether it still works, before a client gets it. Used by
 * pool.ts and returns.ts.
 */
import type { ServerConnection } from '../backend/server.ts';
import { takeIdle } from './idle.ts';
import type { PoolState } from './pool-state.ts';

/** PgBouncer's word for an empty statement. */
const emptyQuery = '<empty>';

function wasIdleForLong({ settings, options }: PoolState, server: ServerConnection): boolean {
  return options.nowMs() - server.requestAtMs >= settings.serverCheckDelayMs;
}

/** Whether the idle server that takeIdle() takes must be asked first. There must be one. */
export function mustCheckNext(state: PoolState): boolean {
  const { settings, idle } = state;
  if (settings.serverCheckQuery === undefined) return false;
  return wasIdleForLong(state, (settings.serverRoundRobin ? idle[0] : idle.at(-1)) as ServerConnection);
}

/** As takeIdle(); undefined: the server must be asked first. */
export function takeChecked(
  state: PoolState,
  isFit: ((server: ServerConnection) => boolean) | undefined,
): ServerConnection | undefined {
  const { idle, settings } = state;
  if (settings.serverCheckQuery === undefined) return takeIdle(idle, settings.serverRoundRobin, isFit);
  if (mustCheckNext(state)) return undefined;
  const isFitNow = (server: ServerConnection): boolean => !wasIdleForLong(state, server) && isFit?.(server) === true;
  return takeIdle(idle, settings.serverRoundRobin, isFitNow);
}

/** Servers that are being asked. */
export function checksUnderWay({ resetting }: PoolState): number {
  let checks = 0;
  for (const server of resetting.keys()) if (server.state === 'being checked') checks++;
  return checks;
}

/** @param passed it works, and is in the state "unassigned" */
export function checkServer(state: PoolState, server: ServerConnection, passed: () => void): void {
  const { settings, options, resetting } = state;
  if (!server.move('check begun')) return;
  const query = settings.serverCheckQuery ?? '';
  resetting.set(server, options.nowMs() + settings.serverConnectTimeoutMs);
  server.run(query === emptyQuery ? '' : query).then(
    () => {
      resetting.delete(server);
      if (server.isKeptIdle) return failed(state, server, 'it has left a transaction open');
      if (server.isAlive && server.move('check passed')) passed();
    },
    (error: Error) => failed(state, server, error.message),
  );
}

function failed({ options }: PoolState, server: ServerConnection, why: string): void {
  options.onCheckFailed?.(server, why);
  server.destroy(`server_check_query: ${why}`);
}

/** It has not answered in time. Those that were idle for as long came to the server by the same way. */
export function checkTookTooLong(state: PoolState, server: ServerConnection): void {
  server.destroy('server_check_query was not answered in time');
  for (const other of [...state.idle]) {
    if (other.requestAtMs <= server.requestAtMs) other.close('server_check_query was not answered by another one');
  }
}
