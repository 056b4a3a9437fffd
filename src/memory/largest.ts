/**
 * Which clients are shed when memory is critical: the largest first, until enough is given back; those in a transaction only if it
 * must be. Called by monitor.ts. Pure.
 */
import type { Holder } from './types.ts';

/** Ending clients that hold less would cost many their connection for little. */
export const leastHeldBytes = 16 * 1024;

/**
 * @param neededBytes to be given back
 * @param withTransactions also clients in a transaction, if the others are not enough
 */
export function pickLargest(holders: Iterable<Holder>, neededBytes: number, withTransactions: boolean): Holder[] {
  if (neededBytes <= 0) return [];
  const large = [...holders].filter(
    ({ bytes, isInTransaction }) => bytes >= leastHeldBytes && (withTransactions || !isInTransaction),
  );
  large.sort((a, b) => Number(a.isInTransaction) - Number(b.isInTransaction) || b.bytes - a.bytes);
  let left = neededBytes;
  const picked: Holder[] = [];
  for (const holder of large) {
    if (left <= 0) break;
    picked.push(holder);
    left -= holder.bytes;
  }
  return picked;
}
