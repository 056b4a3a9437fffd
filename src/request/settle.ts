/**
 * The beginning and the end of a request on a server. Before it is sent, and at ReadyForQuery, the concerns of the session do
 * what follows from it (session/concerns/table.ts). The rest is here: it is counted, it runs again, its server is given back.
 */
import { TxStatus } from '../protocol/codes.ts';
import type { ServerConnection } from '../backend/server.ts';
import { noteLatency } from '../routing/latency.ts';
import { mayBeKept, settlePassedOver } from './run-again.ts';
import type { Session } from '../session/session.ts';
import { countAnswer } from './count.ts';
import { enterFlight, leaveFlight } from './load.ts';
import type { Request } from '../session/request.ts';

/** The first message of a request is about to be sent. False: it must not be. */
export function beginRequest(session: Session, request: Request): boolean {
  if (!session.move(request, 'sent')) return false;
  const { services } = session;
  request.attempt.sentAtMs = services.nowMs();
  request.target.node ??= session.serverNode;
  session.moments.beforeSend(request);
  request.attempt.held = mayBeKept(session, request) ? [] : undefined;
  enterFlight(session, request);
  session.moments.beforeCommit(request);
  session.inFlight.push(request);
  session.intake.entered(request);
  return true;
}

/** ReadyForQuery for `request`, which is no longer in flight. */
export function settle(session: Session, request: Request, status: number): void {
  const { database, services } = session;
  const now = services.nowMs();
  (session.server as ServerConnection).lastReadyAtMs = now;
  const isPassedOver = request.state === 'passed over';
  leaveFlight(session, request, 'settled');
  noteSpeed(session, request, now);
  if (isPassedOver) {
    session.moments.transactionLost(status);
    return settlePassedOver(session, request);
  }
  if (request.form.isSimple) settleEffects(session, request);
  session.readyForQuery(request, status);
  if (request.target.node !== undefined && (status === TxStatus.Idle || request.attempt.hasCommitted))
    database.stats.xacts++;
  session.wasAnswered(request);
  countAnswer(session, request);
  request.messages = undefined;
  session.release();
  if (session.inFlight.length === 0) session.becameQuiet();
}

function settleEffects(session: Session, request: Request): void {
  for (const plan of request.plans) {
    if (!plan.hasEffects) continue;
    // Something in the middle of it was committed: what did what is not to be told apart.
    if (!request.attempt.hasError && request.attempt.hasCommitted && plan.facts.statements.length > 1)
      session.moments.effectsInPart(plan);
    if (!request.attempt.hasError) session.moments.effectsDone(plan);
    else if (request.attempt.statementIndex > 0) session.moments.effectsInPart(plan);
  }
}

function noteSpeed(session: Session, request: Request, nowMs: number): void {
  const { node } = request.target;
  // Behind others in a lane a read says nothing about its node.
  if (node === undefined || !request.planned.isRead || request.attempt.hasError || (session.server?.sharers ?? 0) > 1)
    return;
  const latencyMs = nowMs - request.attempt.sentAtMs;
  const facts = request.plans[0]?.facts;
  if (facts !== undefined) noteLatency(node.load, session.services.baselines.of(facts, latencyMs), latencyMs, nowMs);
}
