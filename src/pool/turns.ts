/**
 * Turns of pools that share a limit which is less than they need: a pool that has no connection at all gets the next one that
 * comes back to another. Used by budget.ts for a server and a database, and by user-places.ts for a user.
 */
import type { BudgetMember } from './budget-types.ts';

/** A pool that has no connection for so long, while its clients wait, takes turns with those that have. */
export const turnMs = 500;

/** Of pools that never have an idle connection, the one with most closes the next that comes back. */
export function takeTurn(members: Set<BudgetMember>): void {
  const most = [...members].sort((a, b) => b.inUse - a.inUse).find((member) => member.yieldNext());
  if (most === undefined) return;
  // Of those that have as many, another one is next.
  members.delete(most);
  members.add(most);
}

/** Those that have waited for a turn, longest first. */
export function starvedOf(members: Iterable<BudgetMember>): readonly BudgetMember[] {
  const starved = [...members].filter(({ starvedMs }) => starvedMs >= turnMs);
  return starved.sort((a, b) => b.starvedMs - a.starvedMs);
}
