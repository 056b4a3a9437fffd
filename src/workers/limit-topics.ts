/**
 * What a worker says to the supervisor about rate limits, which hold for all workers together. Types only.
 */
import type { Spent } from '../limits/types.ts';

export interface LimitTopicsOfWorker {
  /** What was spent of some buckets. Answered with the tokens that are left of each, in this order. */
  readonly limits: { readonly body: readonly Spent[]; readonly reply: readonly number[] };
}
