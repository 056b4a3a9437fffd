/**
 * The way back to the replicas for a session that never pauses. After a write, or a read on the primary, it may go to a
 * replica only when that is known to be as far; a session that asks again before the next probe would never learn it.
 * So now and then one read of such a session waits for probes that are sent at once. Called by handle-request.ts.
 */
import type { Decision } from '../routing/decision.ts';
import { isMerelyBehind } from '../routing/route.ts';
import type { ClientSession } from './client.ts';
import type { Unit } from './unit.ts';

/** About twice as long as it takes the probes to notice by themselves. */
const patienceMs = 100;
/** Longest that a read waits: a few round trips and a replay. */
const waitMs = 25;
const longestPauseMs = 10_000;

/** How long a session has been on the primary for want of a replica that is far enough. */
export class Stranded {
  private sinceMs = 0;
  private pauseMs = patienceMs;

  /** A read went to a replica. */
  over(): void {
    this.sinceMs = 0;
    this.pauseMs = patienceMs;
  }

  /** A read is about to go to the primary: should it wait instead? */
  isOverdue(nowMs: number): boolean {
    if (this.sinceMs === 0) this.sinceMs = nowMs;
    return nowMs - this.sinceMs > this.pauseMs;
  }

  /** The replicas were not far enough in time: they are slow, so the next try is later. */
  inVain(nowMs: number): void {
    this.sinceMs = nowMs;
    this.pauseMs = Math.min(this.pauseMs * 2, longestPauseMs);
  }
}

/** True: the unit waits and takes up the thread by `goOn`, once, with a replica in reach or in vain. */
export function awaitsReplica(
  session: ClientSession,
  unit: Unit,
  decision: Decision,
  isInReach: () => boolean,
  goOn: () => void,
): boolean {
  const { stranded, services } = session;
  if (unit.attempts > 0 || !stranded.isOverdue(services.nowMs()) || !isMerelyBehind(decision)) return false;
  const leave = (): void => {
    clearTimeout(timer);
    stopAsking();
  };
  const end = (): void => {
    leave();
    session.goOn(goOn);
  };
  const timer = setTimeout(() => {
    stranded.inVain(services.nowMs());
    end();
  }, waitMs);
  const stopAsking = session.database.topology.askNow(() => {
    if (isInReach()) end();
  });
  session.waiting();
  session.leavePark = leave;
  return true;
}
