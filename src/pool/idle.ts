/** Chooses which idle server of a pool is handed out. They are in the order of their last use. Called by pool.ts. */
import type { ServerConnection } from '../backend/server.ts';

/** Of how many servers, from the one used last, `isFit` is asked. */
const maxLooks = 16;

/**
 * Takes a server out of the list, which must not be empty. With server_round_robin it is the one that was idle for longest.
 * Otherwise it is the one used last: its caches are warm, and the servers that are not needed reach server_idle_timeout. With
 * `isFit` it is one of those used last for which that is true, if there is one.
 */
export function takeIdle(
  idle: ServerConnection[],
  isRoundRobin: boolean,
  isFit?: (server: ServerConnection) => boolean,
): ServerConnection {
  if (isRoundRobin) return idle.shift() as ServerConnection;
  const at = isFit === undefined ? -1 : lastFit(idle, isFit);
  return (at === -1 ? idle.pop() : idle.splice(at, 1)[0]) as ServerConnection;
}

function lastFit(servers: readonly ServerConnection[], isFit: (server: ServerConnection) => boolean): number {
  const end = Math.max(0, servers.length - maxLooks);
  for (let at = servers.length - 1; at >= end; at--) if (isFit(servers[at] as ServerConnection)) return at;
  return -1;
}
