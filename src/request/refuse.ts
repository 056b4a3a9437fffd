/** A request that gets an error of Weir's in place of a server. */
import { errorResponse } from '../protocol/write.ts';
import type { WeirError } from '../errors.ts';
import { answered } from './answered.ts';
import type { Session } from '../session/session.ts';
import type { Unit } from '../session/unit.ts';

export function refuse(session: Session, unit: Unit, error: WeirError): 'waits' | 'done' {
  unit.cache.flight?.abandon();
  // The transaction of the client has ended on its replica and has not begun again elsewhere: it is lost.
  if (session.concerns.opening.isToBegin) {
    session.terminate(error);
    return 'done';
  }
  if (!unit.planned.begins) return sayRefused(session, unit, error);
  // Without its BEGIN, each statement behind it would run in a transaction of its own. So if the client has sent any, its
  // connection ends. What came in the same chunk is only seen once all of that has been read.
  return session.waitShortly('rest of pipeline', unit, (goOn) =>
    setImmediate(() =>
      goOn(() => {
        if (session.isBetweenMessages) return sayRefused(session, unit, error);
        session.terminate(error);
        return 'done';
      }),
    ),
  );
}

function sayRefused(session: Session, unit: Unit, error: WeirError): 'done' {
  unit.attempt.failed();
  session.say(errorResponse(error));
  return answered(session, unit);
}
