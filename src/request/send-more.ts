/** Sends the next messages of a batch that was begun before its Sync. Called by intake.ts. */
import { Frontend } from '../protocol/codes.ts';
import { sync } from '../protocol/write.ts';
import { WeirError } from '../errors.ts';
import type { Outcome, Session } from '../session/session.ts';
import type { Message, Request } from '../session/request.ts';
import { awaitsPeers } from './await-peers.ts';
import { forwardAll } from './prepared/forward-all.ts';
import { failBatch } from './prepared/owe.ts';

const syncMessage: Message = { type: Frontend.Sync, buffer: sync, start: 0, end: sync.length };

/** @param known how many plans the request had before this message */
export function sendMore(session: Session, request: Request, message: Message, known: number): void {
  if (request.form.locals > 0) return refuseLocal(session, request, message);
  session.moments.beforeMore(request, known);
  const passOn = (): Outcome => {
    forwardAll(session, request, [message]);
    return 'done';
  };
  // If the server dies meanwhile, the batch has been answered already.
  if (awaitsPeers(session, request, passOn, () => 'done') !== undefined) return;
  session.moments.beforeCommit(request);
  passOn();
}

/** The batch is on its server already, which knows no weir.* settings: it fails there, as with any other error. */
function refuseLocal(session: Session, request: Request, message: Message): void {
  request.form.locals = 0;
  failBatch(session, new WeirError('not_supported', { what: 'a weir.* setting in one batch with other statements' }));
  if (message.type === Frontend.Query) forwardAll(session, request, [syncMessage]);
  else request.sent();
}
