/**
 * With other Weirs behind the same Redis, a message that may commit is sent only after Redis has confirmed that its tables are
 * closed (rule 2 of docs/consistency.md): from then on no Weir shows a cached answer that the commit makes old. Without Redis
 * nothing waits.
 */
import type { Outcome, Session } from '../session/session.ts';
import { isWrite } from '../session/concerns/writes.ts';
import type { Unit } from '../session/unit.ts';

/** Must Redis hear of it first? Then it cannot be pipelined behind requests in flight. */
export function mustBeAnnounced(session: Session, unit: Unit): boolean {
  if (!session.services.cache.hasPeers || !(unit.isComplete || unit.planned.mayCommit) || !unit.form.executes)
    return false;
  return unit.plans.some(isWrite) || (unit.planned.mayCommit && session.concerns.writes.hasUndecided);
}

/**
 * Closes the tables that `unit` may write with a commit. If other Weirs have to hear of it, the unit waits until Redis has
 * confirmed it, and goes on with `send`, or with `lost` if its server has died meanwhile.
 * @returns undefined: there is nothing to wait for
 */
export function awaitsPeers(
  session: Session,
  unit: Unit,
  send: () => Outcome,
  lost: () => Outcome,
): Outcome | undefined {
  if (!session.services.cache.hasPeers) return undefined;
  const before = unit.attempt.guard;
  const { writes } = session.concerns;
  if (before === undefined) writes.beforeSend(unit);
  const guard = writes.guard(unit);
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
