/**
 * How log lines name the store that several Weirs or workers share, and those who share it. Pure.
 */
import type { StoreKind } from './transport.ts';

export interface StoreWords {
  /** Name of the event in the log. */
  readonly event: 'cache_redis' | 'cache_workers';
  readonly store: string;
  readonly peer: string;
  readonly sharers: string;
}

export const storeWords: Readonly<Record<StoreKind, StoreWords>> = {
  redis: { event: 'cache_redis', store: 'Redis', peer: 'Weir', sharers: 'Weirs that share the Redis' },
  workers: { event: 'cache_workers', store: 'the supervisor', peer: 'worker', sharers: 'workers' },
};
