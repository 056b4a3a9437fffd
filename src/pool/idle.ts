/** Which of a pool's idle servers is handed out; the one used last is the last of them. Called by pool.ts. */
import type { ServerConnection } from '../backend/server.ts';

/** So many are looked at for one that need not be made to look like the session. */
const maxLooks = 16;

/**
 * The one used last, whose caches are warm and which lets the others grow old; with `isFit` rather one of those used last
 * for which that is true. Or, in their turns, the one that has rested longest. There must be one.
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
