/** The end of a request that Weir has answered itself, without a server. */
import { statusLetter } from '../protocol/codes.ts';
import { readyForQuery } from '../protocol/write.ts';
import { countAnswer } from './count.ts';
import { leaveFlight } from './load.ts';
import type { Session } from '../session/session.ts';
import type { Unit } from '../session/unit.ts';

/** The answer was sent. ReadyForQuery follows: now, or when the Sync of the unit comes. */
export function answered(session: Session, unit: Unit): 'done' {
  leaveFlight(session, unit, 'answered by Weir');
  session.intake.entered(unit);
  session.lastUnit = unit;
  countAnswer(session, unit);
  if (unit.isComplete) session.say(readyForQuery(statusLetter(session.status)));
  else if (unit.attempt.hasError) session.intake.skipToSync();
  else session.intake.beginAnew();
  session.release();
  return 'done';
}
