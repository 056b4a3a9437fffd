/**
 * A replica can show a commit before the primary does: its WAL is replayed there while the primary still has it on its
 * list of running transactions. So a session that has read a table on a replica while a write to it was under way
 * waits for the end of that write before it reads the table on the primary; else its reads could go back. Called by
 * handle-request.ts.
 */
import type { Outcome, Session } from '../session/session.ts';
import type { Request } from '../session/request.ts';

/**
 * A commit that is visible somewhere ends soon. A statement that still runs is not visible anywhere, and is not waited
 * for.
 */
const longestWaitMs = 250;

/** @returns true if the request must not be sent behind others in flight */
export function isAhead(session: Session, request: Request): boolean {
  return session.concerns.freshness.toAwait(request) !== undefined;
}

/**
 * Waits until the primary shows what a replica has shown already, and then sends the request, or looks for another
 * server if this one has died meanwhile.
 * @returns undefined: there is nothing to wait for
 */
export function awaitsVisible(session: Session, request: Request): Outcome | undefined {
  const awaited = session.concerns.freshness.toAwait(request);
  if (awaited === undefined) return undefined;
  const { server } = session;
  return session.waitShortly('visibility', request, (goOn) => {
    const end = (): void => {
      clearTimeout(timer);
      stop();
      // A write that is still running is a long statement and not a commit. The session does not wait for it again.
      if (!awaited.isOver()) session.concerns.freshness.waitedEnough();
      goOn(() => (session.server === server ? 'send' : 'find server'));
    };
    const timer = setTimeout(end, longestWaitMs);
    const stop = awaited.whenOver(end);
  });
}
