/**
 * Sends further messages of a batch that was sent before its Sync. Called by intake.ts.
 */
import { Frontend } from '../protocol/codes.ts';
import { sync } from '../protocol/write.ts';
import { WeirError } from '../errors/errors.ts';
import type { Outcome, Session } from '../session/session.ts';
import type { Message, Request } from '../session/request.ts';
import { awaitsPeers } from './await-peers.ts';
import { countFurther } from './limited.ts';
import { forwardAll } from './prepared/forward-all.ts';
import { failBatch } from './prepared/owe.ts';
import { moreSent } from './statement-ends.ts';

const syncMessage: Message = {
  type: Frontend.Sync,
  buffer: sync,
  start: 0,
  end: sync.length,
  statementName: undefined,
};

/** @param known number of plans that the request had before this message */
export function sendMore(session: Session, request: Request, message: Message, known: number): void {
  countFurther(session, message.type);
  const { active } = session.services.statements;
  if (active !== undefined) moreSent(active, session, request);
  if (request.form.locals > 0) return refuseLocal(session, request, message);
  session.moments.beforeMore(request, known);
  const passOn = (): Outcome => {
    forwardAll(session, request, [message]);
    return 'done';
  };
  // If the server is lost meanwhile, the batch has already been answered.
  if (awaitsPeers(session, request, passOn, () => 'done') !== undefined) return;
  session.moments.beforeCommit(request);
  passOn();
}

/** Part of the batch is on a server, which does not know weir.* settings: the batch fails there. */
function refuseLocal(session: Session, request: Request, message: Message): void {
  request.form.locals = 0;
  failBatch(session, new WeirError('not_supported', { what: 'a weir.* setting in one batch with other statements' }));
  if (message.type === Frontend.Query) forwardAll(session, request, [syncMessage]);
  else request.sent();
}
