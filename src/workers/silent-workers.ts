/**
 * What becomes of workers that do not answer: they get no new clients, and after a long time they are killed, so that others
 * get what waits for them. Called by for-all.ts and lead.ts.
 */
import type { Log } from '../observability/types.ts';

/** A worker, as far as it matters here. */
export interface Answering {
  readonly number: number;
  readonly isKilled: boolean;
  kill(why: string): void;
}

/** Longer than a collection of garbage, or a statement of many megabytes. */
export const longestSilenceMs = 2_000;
const killAfterMs = 30_000;

type SilentMs<T> = (worker: T) => number;

/** Those that may be given clients, or lead: all if none answers. */
export function awake<T>(workers: Iterable<T>, silentMs: SilentMs<T>): readonly T[] {
  const all = [...workers];
  const found = all.filter((worker) => silentMs(worker) <= longestSilenceMs);
  return found.length > 0 ? found : all;
}

/** Call several times a second. */
export function killHung<T extends Answering>(workers: Iterable<T>, silentMs: SilentMs<T>, log: Log): void {
  for (const worker of workers) {
    if (worker.isKilled || silentMs(worker) <= killAfterMs) continue;
    const why = `has not answered for ${killAfterMs / 1000} s`;
    log('error', 'worker_killed', `worker ${worker.number} ${why}: it is killed`, { worker: worker.number });
    worker.kill(why);
  }
}
