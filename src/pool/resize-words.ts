/**
 * A change of a pool's size as the log and the metrics say it, the same for one process and for several. Used by the app and
 * by the supervisor.
 */
import type { PoolStats, ResizeRecord } from './types.ts';

/** `direction:reason`, as in PoolStats.resizes. */
export function resizeKey({ from, to, reason }: Pick<ResizeRecord, 'from' | 'to' | 'reason'>): string {
  return `${to > from ? 'up' : 'down'}:${reason}`;
}

interface ResizeLine {
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

export function resizeLine(
  { database, user, node }: Pick<PoolStats, 'database' | 'user' | 'node'>,
  { from, to, reason, why }: ResizeRecord,
): ResizeLine {
  const fields = { database, user, node, from, to, reason };
  return { message: `${database}.${user} on ${node}: ${from} -> ${to}: ${why}`, fields };
}
