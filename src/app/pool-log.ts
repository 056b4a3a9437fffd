/** Writes what happens to pools to the log. Used by parts.ts. */
import type { Log } from '../observability/types.ts';
import { overloadLine, resizeLine } from '../pool/resize-words.ts';
import type { PoolStats } from '../pool/types.ts';

export interface PoolLog {
  onResize(stats: PoolStats): void;
  onOverload(stats: PoolStats): void;
}

/** @param isWorker of a change of size, which all workers make, the supervisor writes the line */
export function poolLog(log: Log, isWorker: boolean): PoolLog {
  return {
    onResize(stats) {
      if (stats.lastResize === undefined || isWorker) return;
      const { message, fields } = resizeLine(stats, stats.lastResize);
      log('info', 'pool_resize', message, fields);
    },
    /** Each worker has a queue of its own, and so an overload of its own. */
    onOverload(stats) {
      const { message, fields } = overloadLine(stats);
      log(stats.isOverloaded ? 'warn' : 'info', 'pool_overload', message, fields);
    },
  };
}
