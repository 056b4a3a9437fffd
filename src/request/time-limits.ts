/**
 * The limits in time of a client: query_timeout, transaction_timeout, idle_transaction_timeout and client_idle_timeout. Who is over
 * one is disconnected, and what still runs is cancelled. Called by client.ts about once a second.
 */
import type { PoolSettings } from '../config/config.ts';
import { WeirError } from '../errors/errors.ts';
import { TxStatus } from '../protocol/codes.ts';
import type { Session } from '../session/session.ts';

/** @param nowMs monotonic ms */
export function endLate(session: Session, nowMs: number): void {
  const error = lateFor(session, session.database.settings(session.user), nowMs);
  if (error === undefined) return;
  const { identity, services, server } = session;
  services.log('info', 'client_timeout', error.message, { client: identity.id, user: session.user });
  // It has got half of a message, and would take an error for the rest of it.
  if (server?.isStreamingTo(session.receiver) === true) session.cutOff(error.message);
  else session.terminate(error);
}

function lateFor(session: Session, settings: PoolSettings, nowMs: number): WeirError | undefined {
  const { queryTimeoutMs, transactionTimeoutMs, clientIdleTimeoutMs, idleTransactionTimeoutMs } = settings;
  const isOver = (limitMs: number, sinceMs: number | undefined): boolean =>
    limitMs > 0 && sinceMs !== undefined && nowMs - sinceMs > limitMs;
  const seconds = (limitMs: number): { seconds: number } => ({ seconds: limitMs / 1000 });
  const queryMs = querySinceMs(session);
  const isInTransaction = session.status !== TxStatus.Idle;
  if (isOver(queryTimeoutMs, queryMs)) return new WeirError('query_timeout', seconds(queryTimeoutMs));
  if (isOver(transactionTimeoutMs, isInTransaction ? session.transactionSinceMs : queryMs))
    return new WeirError('transaction_timeout', seconds(transactionTimeoutMs));
  if (!session.isReady || session.inFlight.length > 0) return undefined;
  const idleSinceMs = session.requestAtMs;
  if (isInTransaction)
    return isOver(idleTransactionTimeoutMs, idleSinceMs) ? new WeirError('idle_transaction_timeout') : undefined;
  return isOver(clientIdleTimeoutMs, idleSinceMs) ? new WeirError('client_idle_timeout') : undefined;
}

/** Since when the oldest request that is not answered has run, or waited; of a pipeline, since the answer to the one before. */
function querySinceMs({ inFlight, server, wait }: Session): number | undefined {
  const request = inFlight.peek();
  if (request === undefined) return wait?.sinceMs;
  return Math.max(request.receivedAtMs, server?.lastReadyAtMs ?? 0);
}
