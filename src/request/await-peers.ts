/**
 * With other Weirs behind the same Redis, a message that may commit is sent only after Redis has confirmed that its
 * tables are closed (rule 2 of docs/consistency.md): from then on no Weir shows a cached answer that the commit makes
 * old. Without Redis nothing waits.
 */
import type { Outcome, Session } from '../session/session.ts';
import { isWrite } from '../session/concerns/writes.ts';
import type { Request } from '../session/request.ts';

/**
 * @returns true if Redis must confirm something before the request is sent; then it cannot be pipelined behind
 * requests in flight
 */
export function mustBeAnnounced(session: Session, request: Request): boolean {
  if (!session.services.cache.hasPeers || !(request.isComplete || request.planned.mayCommit) || !request.form.executes)
    return false;
  return request.plans.some(isWrite) || (request.planned.mayCommit && session.concerns.writes.hasUndecided);
}

/**
 * Closes the tables to which `request` may commit writes. If other Weirs must be told, the request waits until Redis
 * has confirmed it, and goes on with `send`, or with `lost` if its server was lost meanwhile.
 * @returns undefined: there is nothing to wait for
 */
export function awaitsPeers(
  session: Session,
  request: Request,
  send: () => Outcome,
  lost: () => Outcome,
): Outcome | undefined {
  if (!session.services.cache.hasPeers) return undefined;
  const before = request.attempt.guard;
  const { writes } = session.concerns;
  if (before === undefined) writes.beforeSend(request);
  const guard = writes.guard(request);
  const announced = guard?.announced;
  if (guard === undefined || announced === undefined) return undefined;
  const { server } = session;
  return session.waitShortly('announcement', request, (goOn) => {
    void announced.then(() => {
      const isTakenUp = goOn(() => {
        if (session.server === server) return send();
        guard.rolledBack();
        request.attempt.guard = before;
        return lost();
      });
      // The client is gone. The request was never sent, so nothing of it can have been committed.
      if (!isTakenUp) guard.rolledBack();
    });
  });
}
