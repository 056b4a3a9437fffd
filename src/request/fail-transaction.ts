/**
 * An error of Weir's own in an open transaction block: the transaction fails on its server, as with an error of PostgreSQL's,
 * so that COMMIT commits nothing and ROLLBACK TO SAVEPOINT works. Called by refuse.ts.
 */
import { Owed } from '../protocol/answers.ts';
import { sync } from '../protocol/write.ts';
import type { ServerConnection } from '../backend/server.ts';
import type { WeirError } from '../errors/errors.ts';
import { failBatch, owe } from './prepared/owe.ts';
import { beginRequest } from './settle.ts';
import type { Session } from '../session/session.ts';
import type { Request } from '../session/request.ts';

/** The session's server must be quiet. What fails there is a message of Weir's; the client gets the error in its place. */
export function failTransaction(session: Session, request: Request, error: WeirError): 'done' {
  if (!beginRequest(session, request)) return 'done';
  // Nothing of it goes to a server: it must not run again on another one either.
  request.form.locals = 0;
  request.attempt.held = undefined;
  request.sent();
  failBatch(session, error);
  if (!request.isComplete) return 'done';
  (session.server as ServerConnection).send(sync);
  owe(session, Owed.Sync);
  return 'done';
}
