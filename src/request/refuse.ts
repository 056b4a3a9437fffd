/**
 * Answers a request with an error of Weir's instead of sending it.
 */
import { TxStatus } from '../protocol/codes.ts';
import { errorResponse } from '../protocol/write.ts';
import type { WeirError } from '../errors/errors.ts';
import { answered } from './answered.ts';
import { countCutOff } from './count.ts';
import { failTransaction } from './fail-transaction.ts';
import { statementFailed } from './statement-ends.ts';
import { isUnservedByWeir } from './unserved.ts';
import type { Session } from '../session/session.ts';
import type { Request } from '../session/request.ts';

export function refuse(session: Session, request: Request, error: WeirError): 'waits' | 'done' {
  request.cache.flight?.abandon();
  const isInBlock = session.status !== TxStatus.Idle;
  // What the client had on its server is gone: its transaction, also one that has ended on its replica and has not begun again
  // elsewhere, or what has pinned it there.
  const isLost = session.server === undefined && (isInBlock || session.state.isPinned);
  if (session.concerns.opening.isToBegin || isLost) {
    countCutOff(session, [request], isUnservedByWeir(error));
    session.terminate(error);
    return 'done';
  }
  if (session.status === TxStatus.InTransaction) return failTransaction(session, request, error);
  if (isInBlock || !request.planned.begins) return sayRefused(session, request, error);
  // Without its BEGIN, each statement behind it would run in a transaction of its own. So if the client has sent any, its
  // connection ends. What came in the same chunk is only seen once all of that has been read.
  return session.waitShortly('rest of pipeline', request, (goOn) =>
    setImmediate(() =>
      goOn(() => {
        if (session.isBetweenMessages) return sayRefused(session, request, error);
        countCutOff(session, [request], isUnservedByWeir(error));
        session.terminate(error);
        return 'done';
      }),
    ),
  );
}

function sayRefused(session: Session, request: Request, error: WeirError): 'done' {
  request.attempt.failed(isUnservedByWeir(error));
  statementFailed(session, request, error.sqlstate);
  session.say(errorResponse(error));
  return answered(session, request);
}
