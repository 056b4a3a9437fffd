/**
 * The beginning and the end of a unit on a server: tags closed before what may commit, and at ReadyForQuery
 * everything that its outcome decides: invalidation, tokens, cache fill, statistics, a second attempt, checkin.
 */
import { TxStatus } from '../protocol/codes.ts';
import type { ServerConnection } from '../backend/server.ts';
import { bothGuards } from '../cache/guard.ts';
import type { WriteGuard } from '../cache/types.ts';
import { noteLatency } from '../routing/latency.ts';
import type { Plan, SessionEffects } from '../routing/plan.ts';
import { mayBeKept, settleSwallowed } from './again.ts';
import { noteAhead } from './ahead.ts';
import type { ClientSession } from './client.ts';
import { noteCustomSettings } from './custom-settings.ts';
import { countAnswer } from './count.ts';
import { openingOf } from './go-home.ts';
import { enterFlight, leaveFlight } from './load.ts';
import { noteEnds } from './pins.ts';
import { noteAdvanced } from './sequences.ts';
import { WriteSet, type Unit } from './unit.ts';

/** Called when the first message of a unit is about to be sent. */
export function beginUnit(session: ClientSession, unit: Unit): void {
  const { services } = session;
  unit.isBegun = true;
  unit.sentAtMs = services.nowMs();
  unit.node ??= session.serverNode;
  noteWrites(session, unit);
  session.opening = openingOf(unit);
  unit.held = mayBeKept(session, unit) ? [] : undefined;
  enterFlight(session, unit);
  guardWrites(session, unit);
  session.inFlight.push(unit);
  session.intake.entered(unit);
}

/** Adds what the unit writes (its plans from `from` on) to what the transaction has written; marks the server if its state can no longer be known. */
export function noteWrites(session: ClientSession, unit: Unit, from = 0): void {
  for (let at = from; at < unit.plans.length; at++) {
    const plan = unit.plans[at] as Plan;
    if (plan.hasEffects && session.server !== undefined) noteTraces(session.server, plan.effects);
    if (plan.writesAll || plan.changesCatalog || plan.writes.length > 0) (session.writes ??= new WriteSet()).add(plan);
  }
}

/** Before it is sent: it may die in the middle of it, and no rollback takes any of this back. */
function noteTraces(server: ServerConnection, { isSuspect, pins }: SessionEffects): void {
  if (isSuspect) server.isSuspect = true;
  // A library cannot be unloaded: whoever comes next would have it, too.
  if (pins.includes('LOAD')) server.isCloseNeeded = true;
}

/**
 * Rule 2: what may commit is closed before that is sent: with a Query or a Sync, and in a batch that is begun before its
 * Sync with any COMMIT in it. Such a batch may write more behind that. Returns the guard of what was not closed yet.
 */
export function guardWrites(session: ClientSession, unit: Unit): WriteGuard | undefined {
  const { writes, services, database } = session;
  if (writes === undefined || writes.isEmpty || !(unit.isComplete || unit.mayCommit) || !unit.executes)
    return undefined;
  if (unit.guard !== undefined && unit.guardedWrites === writes.extent) return undefined;
  const isOpenTransaction = session.status !== TxStatus.Idle && session.inFlight.length === 0;
  if (isOpenTransaction && !unit.mayCommit) return undefined;
  const prefix = database.tagPrefix();
  if (prefix === undefined) return undefined;
  const tags = [...writes.tags];
  if (writes.changesCatalog) tags.push(`${prefix}cat`);
  const guard = services.cache.close(tags, writes.all, prefix, session.seen);
  unit.guardedWrites = writes.extent;
  unit.guard = unit.guard === undefined ? guard : bothGuards(unit.guard, guard);
  return guard;
}

/** ReadyForQuery for `unit`, which is no longer in flight. */
export function settle(session: ClientSession, unit: Unit, status: number): void {
  const { database, services, tokens } = session;
  const server = session.server as ServerConnection;
  const now = services.nowMs();
  server.lastReadyAtMs = now;
  leaveFlight(session, unit);
  noteSpeed(session, unit, now);
  if (unit.isSwallowed) return settleSwallowed(session, unit);
  const isIdle = status === TxStatus.Idle;
  if (unit.isSimple) settleEffects(session, unit);
  noteAdvanced(session, unit);
  noteCustomSettings(session, unit);
  if (isIdle) {
    session.hasAdvanced = false;
    session.opening = undefined;
    session.state.ended(!unit.hasError);
    server.settings = session.state.takeOnServer();
  }
  settleWrites(session, unit, isIdle);
  const { ticker } = database.topology;
  if (isIdle && unit.node !== undefined) {
    if (unit.isRead && session.status === TxStatus.Idle) tokens.read(ticker, unit.node.name);
    else tokens.wrote(ticker, unit.node.name);
    database.stats.xacts++;
  }
  settleCache(session, unit, isIdle);
  session.status = status;
  if (session.state.isPinned) noteEnds(session, unit);
  session.lastUnit = unit;
  countAnswer(session, unit);
  unit.messages = undefined;
  session.release();
  if (session.inFlight.length > 0) return;
  session.hasNamesInFlight = false;
  // Portals live as long as their transaction, over any number of Syncs.
  if (isIdle) session.portals = undefined;
  session.becameQuiet();
}

function settleEffects(session: ClientSession, unit: Unit): void {
  for (const plan of unit.plans) {
    if (!plan.hasEffects) continue;
    if (!unit.hasError) session.effectsDone(plan);
    else if (unit.statementIndex > 0) session.effectsInPart(plan);
  }
}

/** Units whose Query the server has skipped have no ReadyForQuery of their own: the next one's is theirs, too. */
export function settleDropped(session: ClientSession): void {
  const { inFlight } = session;
  for (let unit = inFlight.peek(); unit?.isDropped === true && inFlight.length > 1; unit = inFlight.peek()) {
    inFlight.shift();
    leaveFlight(session, unit);
    unit.flight?.abandon();
    unit.guard?.unknown();
    countAnswer(session, unit);
    const next = inFlight.peek() as Unit;
    next.hasError = true;
  }
}

/** Syncs behind a COPY were ignored: their units have no ReadyForQuery, and the next Sync is none of its own. */
export function mergeIgnored(session: ClientSession, server: ServerConnection): void {
  let at = 0;
  session.inFlight.filter((unit) => {
    const isKept = at++ === 0 || server.ignoredSyncs === 0;
    if (isKept) return true;
    server.ignoredSyncs--;
    leaveFlight(session, unit);
    return false;
  });
  session.syncsToCome += server.ignoredSyncs;
  server.ignoredSyncs = 0;
}

function noteSpeed(session: ClientSession, unit: Unit, nowMs: number): void {
  const { node } = unit;
  // Behind others in a lane a read says nothing about its node.
  if (node === undefined || !unit.isRead || unit.hasError || (session.server?.sharers ?? 0) > 1) return;
  const latencyMs = nowMs - unit.sentAtMs;
  const facts = unit.plans[0]?.facts;
  if (facts !== undefined) noteLatency(node.load, session.services.baselines.of(facts, latencyMs), latencyMs, nowMs);
}

function catalogChanged(session: ClientSession): void {
  session.services.book.catalogChanged();
  session.database.topology.catalogChanged();
  if (session.writes?.changesDefaults === true) session.database.defaultsChanged();
}

function settleWrites(session: ClientSession, unit: Unit, isIdle: boolean): void {
  const { guard } = unit;
  const { topology } = session.database;
  if (guard !== undefined) {
    const isRolledBack = !isIdle || (unit.hasError && (!unit.mayCommit || isUnparsable(unit)));
    if (isRolledBack) guard.rolledBack();
    else guard.committed(topology.ticker.next());
    if (!isRolledBack && session.writes?.changesCatalog === true) catalogChanged(session);
  } else if (isIdle && !unit.hasError && session.writes?.changesCatalog === true) {
    catalogChanged(session);
  }
  if (isIdle && session.inFlight.length === 0) session.writes = undefined;
}

/** Neither Weir's parser nor the server's understood it: a typing error, not a new kind of CALL that may have committed. */
function isUnparsable(unit: Unit): boolean {
  return unit.isSyntaxError && unit.plans.length === 1 && unit.plans[0]?.facts.unparsed !== undefined;
}

function settleCache(session: ClientSession, unit: Unit, isIdle: boolean): void {
  const { flight, capture } = unit;
  if (flight !== undefined) {
    if (capture !== undefined && !capture.overflow && isIdle && !unit.hasError)
      flight.store(capture.parts, capture.bytes);
    else flight.abandon();
  }
  if (unit.node?.role === 'replica') noteAhead(session, unit);
  const { cache } = session.services;
  if (!cache.isEnabled) return;
  for (const plan of unit.plans) if (plan.reads.length > 0) cache.noteRead(plan.reads, session.seen);
}
