/**
 * With other Weirs behind the same Redis, what may commit is sent only when Redis has the word that its tables are closed
 * (rule 2): from then on no Weir confirms an answer that the commit makes old. Without Redis nothing waits.
 */
import type { ClientSession } from './client.ts';
import { guardWrites, isWrite, noteWrites } from './commits.ts';
import type { Unit } from './unit.ts';

/** It has to be announced, so it cannot follow others that are still being answered. */
export function mustBeAnnounced(session: ClientSession, unit: Unit): boolean {
  if (!session.services.cache.hasPeers || !(unit.isComplete || unit.mayCommit) || !unit.executes) return false;
  return unit.plans.some(isWrite) || (unit.mayCommit && session.writes?.isEmpty === false);
}

/**
 * Closes what `unit` may commit, as far as it is there. If that has to be announced: true, and `send` is called when it is, or
 * `lost` when the server has died meanwhile.
 */
export function awaitsPeers(session: ClientSession, unit: Unit, send: () => void, lost: () => void): boolean {
  if (!session.services.cache.hasPeers) return false;
  const before = unit.guard;
  if (before === undefined) noteWrites(session, unit);
  const guard = guardWrites(session, unit);
  if (guard?.announced === undefined) return false;
  const { server } = session;
  session.waiting();
  void guard.announced.then(() => {
    // Never sent, so nothing of it can have been committed.
    if (session.isClosed) return guard.rolledBack();
    session.goOn(() => {
      if (session.server === server) return send();
      guard.rolledBack();
      unit.guard = before;
      lost();
    });
  });
  return true;
}
