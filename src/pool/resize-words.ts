/**
 * A change of a pool's size, or of its state, as the log and the metrics say it, the same for one process and for several. Used by
 * the app and by the supervisor.
 */
import type { PoolName } from './budget-types.ts';
import type { PoolStats, ResizeRecord } from './types.ts';

/** `direction:reason`, as in PoolStats.resizes. */
export function resizeKey({ from, to, reason }: Pick<ResizeRecord, 'from' | 'to' | 'reason'>): string {
  return `${to > from ? 'up' : 'down'}:${reason}`;
}

/** A pool as logs and errors name it. */
export function poolInWords({ database, user, node }: PoolName): string {
  return `${database}.${user} on ${node}`;
}

interface LogLine {
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

export function resizeLine(
  { database, user, node }: Pick<PoolStats, 'database' | 'user' | 'node'>,
  { from, to, reason, why }: ResizeRecord,
): LogLine {
  const fields = { database, user, node, from, to, reason };
  return { message: `${poolInWords(fields)}: ${from} -> ${to}: ${why}`, fields };
}

export function overloadLine({ database, user, node, isOverloaded, waiting, limit }: PoolStats): LogLine {
  const pool = poolInWords({ database, user, node });
  const fields = { database, user, node, overloaded: isOverloaded };
  if (!isOverloaded) return { message: `${pool}: no longer overloaded`, fields };
  const why = `${waiting} clients wait for ${limit} connections, longer than queue_target, and leave without one or have no time left`;
  return { message: `${pool}: overloaded: ${why}; the newest are served first, the oldest refused early`, fields };
}
