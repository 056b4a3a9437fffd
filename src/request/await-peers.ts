/**
 * With other Weirs behind the same Redis, what may commit is sent only when Redis has the word that its tables are closed
 * (rule 2): from then on no Weir confirms an answer that the commit makes old. Without Redis nothing waits.
 */
import type { Outcome, Session } from '../session/session.ts';
import { guardWrites, isWrite, noteWrites } from '../session/concerns/writes.ts';
import type { Unit } from '../session/unit.ts';

/** It has to be announced, so it cannot follow others that are still being answered. */
export function mustBeAnnounced(session: Session, unit: Unit): boolean {
  if (!session.services.cache.hasPeers || !(unit.isComplete || unit.mayCommit) || !unit.executes) return false;
  return unit.plans.some(isWrite) || (unit.mayCommit && session.writes?.isEmpty === false);
}

/**
 * Closes what `unit` may commit, as far as it is there. If that has to be announced, the unit waits, and then goes on with
 * `send`, or with `lost` if the server has died meanwhile.
 * @returns undefined: nothing has to be announced
 */
export function awaitsPeers(
  session: Session,
  unit: Unit,
  send: () => Outcome,
  lost: () => Outcome,
): Outcome | undefined {
  if (!session.services.cache.hasPeers) return undefined;
  const before = unit.attempt.guard;
  if (before === undefined) noteWrites(session, unit);
  const guard = guardWrites(session, unit);
  const announced = guard?.announced;
  if (guard === undefined || announced === undefined) return undefined;
  const { server } = session;
  return session.waitShortly('announcement', unit, (goOn) => {
    void announced.then(() => {
      const isTakenUp = goOn(() => {
        if (session.server === server) return send();
        guard.rolledBack();
        unit.attempt.guard = before;
        return lost();
      });
      // The client is gone. The unit was never sent, so nothing of it can have been committed.
      if (!isTakenUp) guard.rolledBack();
    });
  });
}
