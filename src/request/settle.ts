/**
 * The beginning and the end of a unit on a server: tags closed before what may commit, and at ReadyForQuery
 * everything that its outcome decides: invalidation, tokens, cache fill, statistics, a second attempt, checkin.
 */
import { TxStatus } from '../protocol/codes.ts';
import type { ServerConnection } from '../backend/server.ts';
import { noteLatency } from '../routing/latency.ts';
import { mayBeKept, settlePassedOver } from './run-again.ts';
import { noteAhead } from './await-visible.ts';
import type { Session } from '../session/session.ts';
import { forgetTransaction, guardWrites, noteWrites, settleWrites } from '../session/concerns/writes.ts';
import { noteCustomSettings } from '../session/concerns/custom-settings.ts';
import { countAnswer } from './count.ts';
import { noteOpened, noteOpening } from './begin-on-primary.ts';
import { enterFlight, leaveFlight } from './load.ts';
import { noteEnds } from '../session/concerns/pins.ts';
import { noteAdvanced } from '../session/concerns/sequences.ts';
import type { Unit } from '../session/unit.ts';

/** The first message of a unit is about to be sent. False: it must not be. */
export function beginUnit(session: Session, unit: Unit): boolean {
  if (!session.move(unit, 'sent')) return false;
  const { services } = session;
  unit.attempt.sentAtMs = services.nowMs();
  unit.node ??= session.serverNode;
  noteWrites(session, unit);
  noteOpening(session, unit);
  unit.attempt.held = mayBeKept(session, unit) ? [] : undefined;
  enterFlight(session, unit);
  guardWrites(session, unit);
  session.inFlight.push(unit);
  session.intake.entered(unit);
  return true;
}

/** ReadyForQuery for `unit`, which is no longer in flight. */
export function settle(session: Session, unit: Unit, status: number): void {
  const { database, services, tokens } = session;
  const server = session.server as ServerConnection;
  const now = services.nowMs();
  server.lastReadyAtMs = now;
  const isPassedOver = unit.state === 'passed over';
  leaveFlight(session, unit, 'settled');
  noteSpeed(session, unit, now);
  if (isPassedOver) {
    forgetTransaction(session, status);
    return settlePassedOver(session, unit);
  }
  const isIdle = status === TxStatus.Idle;
  if (unit.isSimple) settleEffects(session, unit);
  noteAdvanced(session, unit);
  noteCustomSettings(session, unit);
  if (isIdle) {
    session.hasAdvanced = false;
    session.state.ended(!unit.attempt.hasError);
    server.sessionState.settings = session.state.takeOnServer();
  }
  settleWrites(session, unit, status);
  const { ticker } = database.topology;
  if (unit.node !== undefined && (isIdle || unit.attempt.hasCommitted)) {
    if (unit.isRead && session.status === TxStatus.Idle) tokens.read(ticker, unit.node.name);
    else tokens.wrote(ticker, unit.node.name);
    database.stats.xacts++;
  }
  settleCache(session, unit, isIdle);
  noteOpened(session, unit, status);
  session.status = status;
  if (session.state.isPinned) noteEnds(session, unit);
  session.lastUnit = unit;
  countAnswer(session, unit);
  unit.messages = undefined;
  session.release();
  if (session.inFlight.length > 0) return;
  session.prepared.hasNamesInFlight = false;
  // Portals live as long as their transaction, over any number of Syncs.
  if (isIdle) session.prepared.portals = undefined;
  session.becameQuiet();
}

function settleEffects(session: Session, unit: Unit): void {
  for (const plan of unit.plans) {
    if (!plan.hasEffects) continue;
    // Something in the middle of it was committed: what did what is not to be told apart.
    if (!unit.attempt.hasError && unit.attempt.hasCommitted && plan.facts.statements.length > 1)
      session.effectsInPart(plan);
    if (!unit.attempt.hasError) session.effectsDone(plan);
    else if (unit.attempt.statementIndex > 0) session.effectsInPart(plan);
  }
}

function noteSpeed(session: Session, unit: Unit, nowMs: number): void {
  const { node } = unit;
  // Behind others in a lane a read says nothing about its node.
  if (node === undefined || !unit.isRead || unit.attempt.hasError || (session.server?.sharers ?? 0) > 1) return;
  const latencyMs = nowMs - unit.attempt.sentAtMs;
  const facts = unit.plans[0]?.facts;
  if (facts !== undefined) noteLatency(node.load, session.services.baselines.of(facts, latencyMs), latencyMs, nowMs);
}

function settleCache(session: Session, unit: Unit, isIdle: boolean): void {
  const { flight, capture } = unit;
  if (flight !== undefined) {
    if (capture !== undefined && !capture.overflow && isIdle && !unit.attempt.hasError)
      flight.store(capture.parts, capture.bytes, unit.node?.role === 'primary');
    else flight.abandon();
  }
  if (unit.node?.role === 'replica') noteAhead(session, unit);
  const { cache } = session.services;
  if (!cache.isEnabled) return;
  for (const plan of unit.plans) if (plan.reads.length > 0) cache.noteRead(plan.reads, session.seen);
}
