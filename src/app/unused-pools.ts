/**
 * pool_idle_timeout: which pools have had no client and no server connection for so long. Looks about once a second. Made by
 * database-pools.ts.
 */
import type { Pool } from '../pool/pool.ts';

const lookEveryMs = 1_000;

export class UnusedPools {
  private nextLookMs = 0;
  private readonly sinceMs = new WeakMap<Pool, number>();

  /** @param clientUsers as whom Weir logs in for the clients there are; called once at most */
  look(pools: Iterable<Pool>, timeoutMs: number, nowMs: number, clientUsers: () => ReadonlySet<string>): Pool[] {
    if (timeoutMs === 0 || nowMs < this.nextLookMs) return [];
    this.nextLookMs = nowMs + lookEveryMs;
    let users: ReadonlySet<string> | undefined;
    const late: Pool[] = [];
    for (const pool of pools) {
      if (!pool.isUnused || (users ??= clientUsers()).has(pool.user)) this.sinceMs.delete(pool);
      else if (!this.sinceMs.has(pool)) this.sinceMs.set(pool, nowMs);
      else if (nowMs - (this.sinceMs.get(pool) ?? nowMs) >= timeoutMs) late.push(pool);
    }
    return late;
  }
}
