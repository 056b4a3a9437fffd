/**
 * Brings a session that never pauses back to the replicas. After a write, or a read on the primary, a session may read
 * from a replica only when the replica is known to have replayed as much. A session that asks again before the next
 * probe would never get there, so now and then one of its reads waits for probes that are sent at once. Called by
 * steps/find-server.ts.
 */
import type { Decision } from '../routing/decision.ts';
import { isMerelyBehind } from '../routing/route.ts';
import type { Outcome, Session } from '../session/session.ts';
import type { Request } from '../session/request.ts';

/** Longest that a read waits: a few round trips and a replay. */
const waitMs = 25;

/**
 * Lets the request wait until a replica is in reach, at most `waitMs`, and then goes on with "find server".
 * @returns undefined: it does not wait
 */
export function awaitsReplica(
  session: Session,
  request: Request,
  decision: Decision,
  isInReach: () => boolean,
): Outcome | undefined {
  const { stranded, services } = session;
  if (request.target.attempts > 0 || !stranded.isOverdue(services.nowMs()) || !isMerelyBehind(decision))
    return undefined;
  return session.waitFor('replica', request, (goOn) => {
    const leave = (): void => {
      clearTimeout(timer);
      stopAsking();
    };
    const end = (): void => {
      leave();
      goOn('find server');
    };
    const timer = setTimeout(() => {
      stranded.inVain(services.nowMs());
      end();
    }, waitMs);
    const stopAsking = session.database.topology.askNow(() => {
      if (isInReach()) end();
    });
    return leave;
  });
}
