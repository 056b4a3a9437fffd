/** The end of a request that Weir has answered itself, without a server. */
import { statusLetter } from '../protocol/codes.ts';
import { readyForQuery } from '../protocol/write.ts';
import { countAnswer } from './count.ts';
import { leaveFlight } from './load.ts';
import type { Session } from '../session/session.ts';
import type { Request } from '../session/request.ts';

/** The answer was sent. ReadyForQuery follows: now, or when the Sync of the request comes. */
export function answered(session: Session, request: Request): 'done' {
  leaveFlight(session, request, 'answered by Weir');
  session.intake.entered(request);
  session.wasAnswered(request);
  countAnswer(session, request);
  if (request.isComplete) session.say(readyForQuery(statusLetter(session.status)));
  else if (request.attempt.hasError) session.intake.skipToSync();
  else session.intake.beginAnew();
  session.release();
  return 'done';
}
