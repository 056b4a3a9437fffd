/**
 * A cache look-up that was not answered at once, and the reasons of a miss as text. Used by cache.ts.
 */
import { missing } from './flights.ts';
import type { Freshness } from './freshness.ts';
import type { TagSet } from './tags.ts';
import type { TickSource } from './types.ts';

export interface Request {
  readonly key: string;
  readonly set: TagSet;
  readonly ttlMs: number;
  /** An answer is shown for this many times its time to live. */
  readonly stretch: number;
  readonly freshness: Freshness;
  readonly ticks: TickSource;
}

export const off = missing('the cache is off');
export const closed = missing('a write to one of its tables is under way');
export const outOfStep = missing('the second level is out of reach');
export const noLease = {
  redis: missing('a Weir that shares the Redis is missing, or Redis is slow: no lease'),
  workers: missing('a worker is missing, or the supervisor is slow: no lease'),
} as const;
export const alone = missing('somebody else is asking, not waited for');
export const notDecoded = missing('writes around Weir to one of its tables are not seen (SHOW DECODING)');
