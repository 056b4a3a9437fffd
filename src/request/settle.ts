/**
 * The beginning and the end of a unit on a server. Before it is sent, and at ReadyForQuery, the concerns of the session are told
 * (session/concerns/table.ts), in whose hands all that follows from it is; here it is counted, run again, or its server given back.
 */
import { TxStatus } from '../protocol/codes.ts';
import type { ServerConnection } from '../backend/server.ts';
import { noteLatency } from '../routing/latency.ts';
import { mayBeKept, settlePassedOver } from './run-again.ts';
import type { Session } from '../session/session.ts';
import { countAnswer } from './count.ts';
import { enterFlight, leaveFlight } from './load.ts';
import type { Unit } from '../session/unit.ts';

/** The first message of a unit is about to be sent. False: it must not be. */
export function beginUnit(session: Session, unit: Unit): boolean {
  if (!session.move(unit, 'sent')) return false;
  const { services } = session;
  unit.attempt.sentAtMs = services.nowMs();
  unit.target.node ??= session.serverNode;
  session.moments.beforeSend(unit);
  unit.attempt.held = mayBeKept(session, unit) ? [] : undefined;
  enterFlight(session, unit);
  session.moments.beforeCommit(unit);
  session.inFlight.push(unit);
  session.intake.entered(unit);
  return true;
}

/** ReadyForQuery for `unit`, which is no longer in flight. */
export function settle(session: Session, unit: Unit, status: number): void {
  const { database, services } = session;
  const now = services.nowMs();
  (session.server as ServerConnection).lastReadyAtMs = now;
  const isPassedOver = unit.state === 'passed over';
  leaveFlight(session, unit, 'settled');
  noteSpeed(session, unit, now);
  if (isPassedOver) {
    session.moments.transactionLost(status);
    return settlePassedOver(session, unit);
  }
  if (unit.form.isSimple) settleEffects(session, unit);
  session.moments.readyForQuery(unit, status);
  session.status = status;
  if (unit.target.node !== undefined && (status === TxStatus.Idle || unit.attempt.hasCommitted)) database.stats.xacts++;
  session.lastUnit = unit;
  countAnswer(session, unit);
  unit.messages = undefined;
  session.release();
  if (session.inFlight.length === 0) session.becameQuiet();
}

function settleEffects(session: Session, unit: Unit): void {
  for (const plan of unit.plans) {
    if (!plan.hasEffects) continue;
    // Something in the middle of it was committed: what did what is not to be told apart.
    if (!unit.attempt.hasError && unit.attempt.hasCommitted && plan.facts.statements.length > 1)
      session.moments.effectsInPart(plan);
    if (!unit.attempt.hasError) session.moments.effectsDone(plan);
    else if (unit.attempt.statementIndex > 0) session.moments.effectsInPart(plan);
  }
}

function noteSpeed(session: Session, unit: Unit, nowMs: number): void {
  const { node } = unit.target;
  // Behind others in a lane a read says nothing about its node.
  if (node === undefined || !unit.planned.isRead || unit.attempt.hasError || (session.server?.sharers ?? 0) > 1) return;
  const latencyMs = nowMs - unit.attempt.sentAtMs;
  const facts = unit.plans[0]?.facts;
  if (facts !== undefined) noteLatency(node.load, session.services.baselines.of(facts, latencyMs), latencyMs, nowMs);
}
