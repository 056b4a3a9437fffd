/**
 * The end of a pin that no statement announces: behind a DROP, CLOSE, UNLISTEN or pg_advisory_unlock() the server is asked
 * whether anything is left of the reason. Nobody waits for the answer; what the client sends meanwhile goes behind it.
 */
import { TxStatus } from '../../protocol/codes.ts';
import { pins } from '../../binding/session-state.ts';
import type { Session } from '../session.ts';
import type { Unit } from '../unit.ts';

/** `unit` was answered, and its session is pinned. */
export function noteEnds(session: Session, unit: Unit): void {
  for (const { effects } of unit.plans) {
    for (const reason of effects.mayEnd) if (session.state.pins.has(reason)) (session.ends ??= new Set()).add(reason);
  }
  const { server, ends } = session;
  if (ends === undefined || server === undefined || session.status !== TxStatus.Idle) return;
  if (session.inFlight.length > 0 || !server.isQuiet || session.poolMode === 'session') return;
  session.ends = undefined;
  for (const reason of ends) {
    const { isGone } = pins[reason];
    if (isGone === undefined) continue;
    const { timesPinned } = session.state;
    const answered = (isGoneByNow: boolean): void => {
      // What the client did meanwhile is answered behind this, perhaps in the same chunk: it pins again, or has already.
      if (session.server !== server || !isGoneByNow || session.state.timesPinned !== timesPinned) return;
      session.state.unpin(reason);
      session.release();
    };
    server.run(`SELECT ${isGone}`).then(
      (value) => answered(value === 't'),
      () => undefined,
    );
  }
}
