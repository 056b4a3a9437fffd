/**
 * A replica can show a commit before the primary does: its WAL is replayed there while the primary still has it on its list
 * of running transactions. So a session that has read a table on a replica while a write to it was under way waits for the
 * end of that write before it reads the table on the primary; else its reads could go back. Called by handle-request.ts.
 */
import type { UnderWay } from '../cache/types.ts';
import type { Outcome, Session } from '../session/session.ts';
import type { Unit } from '../session/unit.ts';

/** A commit that can be seen somewhere ends soon; a long statement, which cannot, is not waited for. */
const longestWaitMs = 250;
const maxKept = 8;

/** A replica has answered the unit. */
export function noteAhead(session: Session, unit: Unit): void {
  for (const { reads } of unit.plans) {
    const underWay = reads.length === 0 ? undefined : session.services.cache.underWay(reads);
    if (underWay === undefined) continue;
    // What was known of the same tables is part of it, or over.
    const others = (session.ahead ?? []).filter(({ tags }) => tags !== reads);
    session.ahead = [...others.slice(1 - maxKept), underWay];
  }
}

/** What the unit reads, and may have seen more of already than the primary shows. */
function toAwait(session: Session, unit: Unit): UnderWay | undefined {
  if (session.ahead === undefined || session.serverNode?.role === 'replica') return undefined;
  session.ahead = session.ahead.filter((one) => !one.isOver());
  if (session.ahead.length === 0) session.ahead = undefined;
  const reads = (one: UnderWay): boolean => unit.plans.some((plan) => plan.reads.some((tag) => one.tags.includes(tag)));
  return session.ahead?.find(reads);
}

/** Must the unit not be sent behind others in flight? */
export function isAhead(session: Session, unit: Unit): boolean {
  return toAwait(session, unit) !== undefined;
}

/**
 * Waits until the primary shows what a replica has shown already, and then sends the unit, or looks for another server if this
 * one has died meanwhile.
 * @returns undefined: there is nothing to wait for
 */
export function awaitsVisible(session: Session, unit: Unit): Outcome | undefined {
  const awaited = toAwait(session, unit);
  if (awaited === undefined) return undefined;
  const { server } = session;
  return session.waitShortly('visibility', unit, (goOn) => {
    const end = (): void => {
      clearTimeout(timer);
      stop();
      // A write that is still running is a long statement and not a commit. The session does not wait for it again.
      if (!awaited.isOver()) session.ahead = undefined;
      goOn(() => (session.server === server ? 'send' : 'find server'));
    };
    const timer = setTimeout(end, longestWaitMs);
    const stop = awaited.whenOver(end);
  });
}
