/**
 * Begins and ends a request on a server. Both times the session's concerns do their part (session/concerns/table.ts);
 * this file counts it, lets it run again if necessary, and gives the server back.
 */
import { TxStatus } from '../protocol/codes.ts';
import type { ServerConnection } from '../backend/server.ts';
import type { StatementsAtOnce } from '../pool/statements-at-once.ts';
import { noteAlone, noteLatency } from '../routing/latency.ts';
import { mayBeKept, settlePassedOver } from './run-again.ts';
import type { Session } from '../session/session.ts';
import { countAnswer } from './count.ts';
import { enterFlight, leaveFlight } from './load.ts';
import type { Request } from '../session/request.ts';

/** Call before the first message of a request is sent. @returns false: it must not be sent */
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

/** ReadyForQuery has come for `request`, which is no longer in `inFlight`. */
export function settle(session: Session, request: Request, status: number): void {
  const { database, services } = session;
  const now = services.nowMs();
  const server = session.server as ServerConnection;
  const readyAtMs = server.lastReadyAtMs;
  server.lastReadyAtMs = now;
  const isPassedOver = request.state === 'passed over';
  leaveFlight(session, request, 'settled');
  noteSpeed(session, request, now);
  if (session.pool?.atOnce.isMeasured === true) noteWork(session, session.pool.atOnce, request, now);
  if (isPassedOver) {
    session.moments.transactionLost(status);
    return settlePassedOver(session, request);
  }
  if (request.form.isSimple) settleEffects(session, request);
  session.readyForQuery(request, status);
  if (request.target.node !== undefined && (status === TxStatus.Idle || request.attempt.hasCommitted)) {
    database.stats.xacts++;
    database.stats.xactMs += session.takeTransactionMs(now);
  }
  session.wasAnswered(request);
  countAnswer(session, request, now, readyAtMs);
  request.messages = undefined;
  session.release();
  if (session.inFlight.length === 0) session.becameQuiet();
}

function settleEffects(session: Session, request: Request): void {
  for (const plan of request.plans) {
    if (!plan.hasEffects) continue;
    // A statement within it has committed: which statement had which effect cannot be told.
    if (!request.attempt.hasError && request.attempt.hasCommitted && plan.facts.statements.length > 1)
      session.moments.effectsInPart(plan);
    if (!request.attempt.hasError) session.moments.effectsDone(plan);
    else if (request.attempt.statementIndex > 0) session.moments.effectsInPart(plan);
  }
}

function noteSpeed(session: Session, request: Request, nowMs: number): void {
  const { node } = request.target;
  // In a lane the latency includes the reads ahead, so it says nothing about the node.
  if (node === undefined || !request.planned.isRead || request.attempt.hasError || (session.server?.sharers ?? 0) > 1)
    return;
  const latencyMs = nowMs - request.attempt.sentAtMs;
  const facts = request.plans[0]?.facts;
  if (facts !== undefined) noteLatency(node.load, session.services.baselines.of(facts, latencyMs), latencyMs, nowMs);
}

/** For the search for how many statements may run at once: how long it took, and how long it would have taken alone. */
function noteWork(session: Session, atOnce: StatementsAtOnce, request: Request, nowMs: number): void {
  const facts = request.plans[0]?.facts;
  if (facts === undefined || request.attempt.hasError) return;
  const latencyMs = nowMs - request.attempt.sentAtMs;
  const { baselines } = session.services;
  const baseline = baselines.of(facts, latencyMs);
  noteAlone(baseline, latencyMs, nowMs);
  atOnce.ended(latencyMs, baseline.aloneMs, baseline.number);
}
