/**
 * What a session has written, from closing its tags before it may commit (rule 2) to the server's word on it. What commits
 * is what the server says (transaction.ts), whatever status the session is in behind it. Called by settle.ts and receiver.ts.
 */
import { TxStatus } from '../../protocol/codes.ts';
import type { ServerConnection } from '../../backend/server.ts';
import { bothGuards } from '../../cache/guard.ts';
import type { WriteGuard } from '../../cache/types.ts';
import type { Plan, SessionEffects } from '../../binding/plan.ts';
import type { StatementFacts } from '../../sql/facts.ts';
import type { Session } from '../session.ts';
import { after, commitsByItself, eventOf, type Phase, type TransactionEvent } from '../transaction.ts';
import { everything, WriteSet, type Unit } from '../unit.ts';

/* ---- before it is sent ---- */

/** Adds what the unit writes (its plans from `from` on) to what is not decided yet; marks the server if its state can no longer be known. */
export function noteWrites(session: Session, unit: Unit, from = 0): void {
  for (let at = from; at < unit.plans.length; at++) {
    const plan = unit.plans[at] as Plan;
    if (plan.hasEffects && session.server !== undefined) noteTraces(session.server, plan.effects);
    if (isWrite(plan)) (session.writes ??= new WriteSet()).add(plan);
  }
}

export function isWrite(plan: Plan): boolean {
  return plan.writesAll || plan.changesCatalog || plan.writes.length > 0;
}

/** Before it is sent: it may die in the middle of it, and no rollback takes any of this back. */
function noteTraces(server: ServerConnection, { isSuspect, pins }: SessionEffects): void {
  if (isSuspect) server.sessionState.isSuspect = true;
  // A library cannot be unloaded: whoever comes next would have it, too.
  if (pins.includes('LOAD')) server.isCloseNeeded = true;
}

/**
 * Rule 2: what may commit is closed before that is sent: with a Query or a Sync, and in a batch that is begun before its
 * Sync with any COMMIT in it. Such a batch may write more behind that. Returns the guard of what was not closed yet.
 */
export function guardWrites(session: Session, unit: Unit): WriteGuard | undefined {
  const { writes } = session;
  if (writes === undefined || !(unit.isComplete || unit.mayCommit) || !unit.executes) return undefined;
  if (unit.attempt.guard !== undefined && unit.attempt.guardedWrites === writes.extent) return undefined;
  const isOpenTransaction = session.status !== TxStatus.Idle && session.inFlight.length === 0;
  if (isOpenTransaction && !unit.mayCommit) return undefined;
  const guard = closeAll(session);
  if (guard === undefined) return undefined;
  unit.attempt.guardedWrites = writes.extent;
  addGuard(unit, guard);
  return guard;
}

function addGuard(unit: Unit, guard: WriteGuard): void {
  unit.attempt.guard = unit.attempt.guard === undefined ? guard : bothGuards(unit.attempt.guard, guard);
}

/** Everything that is not decided yet. undefined: nothing, or the database's tags are not known yet. */
function closeAll({ writes, services, database, seen, server }: Session): WriteGuard | undefined {
  if (writes === undefined || writes.isEmpty) return undefined;
  const prefix = database.tagPrefix();
  if (prefix === undefined) return undefined;
  writes.knownBy(database.topology.catalog());
  const tags = [...writes.tags];
  if (writes.changesCatalog) tags.push(`${prefix}cat`);
  return services.cache.close(tags, writes.all, prefix, seen, server);
}

/* ---- what the server says ---- */

function isPlain(kind: StatementFacts['kind']): boolean {
  return kind === 'select' || kind === 'insert' || kind === 'update' || kind === 'delete';
}

/**
 * A statement of the unit was completed, or a portal of it was suspended. `buffer` has its command tag in [start, end), with
 * a zero behind it; it is empty if there is none. Without `facts` nobody could read it.
 */
export function noteCompleted(
  session: Session,
  unit: Unit,
  isQuery: boolean,
  plan: Plan | undefined,
  facts: StatementFacts | undefined,
  buffer: Buffer,
  start: number,
  end: number,
): void {
  const { transaction: phase } = session;
  if (facts !== undefined && isPlain(facts.kind) && (phase === 'implicit' || phase === 'block')) return;
  const isProgram =
    facts !== undefined && facts.kind !== 'unknown' && commitsByItself(facts, plan?.facts.template ?? '');
  const event = isProgram ? 'program' : eventOf(buffer.toString('latin1', start, end - 1), facts);
  const hasMore = facts?.kind === 'unknown' || unit.attempt.statementIndex !== plan?.facts.statements.length;
  if (!happened(session, unit, event)) return;
  unit.attempt.openFrom = isQuery ? unit.plans.length - Number(hasMore) : behind(unit, plan);
}

/** The place behind a plan among those of which nothing was decided yet. */
function behind(unit: Unit, plan: Plan | undefined): number {
  return plan === undefined
    ? unit.attempt.openFrom
    : Math.max(unit.attempt.openFrom, unit.placeOf(plan, unit.attempt.openFrom) + 1);
}

/** The server has said that something of the unit failed. */
export function noteFailed(session: Session, unit: Unit): void {
  if (session.transaction === 'block' || session.transaction === 'failed') session.transaction = 'failed';
  else happened(session, unit, mayHaveCommitted(unit) ? 'program error' : 'error');
}

/** May what failed have committed before it did? */
function mayHaveCommitted(unit: Unit): boolean {
  if (unit.attempt.isUnparsable) return false;
  const last = unit.plans.at(-1);
  if (last !== undefined && unit.shape === 'Q') {
    const failing = last.facts.statements[unit.attempt.statementIndex];
    return failing === undefined || commitsByItself(failing, last.facts.template);
  }
  return unit.plans.some(({ facts }) => facts.statements.some((one) => commitsByItself(one, facts.template)));
}

/** Has it ended a transaction, so that all before it in the unit is decided? */
function happened(session: Session, unit: Unit, event: TransactionEvent): boolean {
  const [next, fate] = after(session.transaction, event);
  session.transaction = next;
  if (fate === 'open') return false;
  if (fate === 'committed') acknowledge(session, unit);
  // What a program has written behind its own commit is decided later.
  if (event === 'program' || event === 'program error') return false;
  session.open = undefined;
  return true;
}

/** ReadyForQuery may be far away: from now on nobody reads what is older from a replica. The tags stay closed. */
function acknowledge(session: Session, unit: Unit): void {
  unit.attempt.hasCommitted = true;
  unit.attempt.guard ??= closeAll(session);
  const { ticker } = session.database.topology;
  unit.attempt.guard?.acknowledged(ticker.next(), ticker);
}

/* ---- ReadyForQuery ---- */

function phaseOf(status: number): Phase {
  if (status === TxStatus.Idle) return 'implicit';
  return status === TxStatus.InTransaction ? 'block' : 'failed';
}

function readyEvent(status: number): TransactionEvent {
  if (status === TxStatus.Idle) return 'idle';
  return status === TxStatus.InTransaction ? 'in block' : 'in failed block';
}

/** What the unit has committed is bumped, what is still open is kept. The unit is no longer in flight. */
export function settleWrites(session: Session, unit: Unit, status: number): void {
  const [next, fate] = after(session.transaction, readyEvent(status));
  session.transaction = next;
  if (session.writes === undefined && unit.attempt.guard === undefined) {
    if (fate === 'committed' && unit.executes) unit.attempt.hasCommitted = true;
    return;
  }
  // A batch that executes nothing decides nothing either.
  if (fate === 'committed' && unit.executes) unit.attempt.hasCommitted = true;
  if (fate === 'open') keepOpen(session, unit);
  else session.open = undefined;
  if (unit.attempt.hasCommitted) committed(session, unit);
  else unit.attempt.guard?.rolledBack();
  if (session.inFlight.length === 0) session.writes = session.open;
}

function keepOpen(session: Session, unit: Unit): void {
  if (!unit.executes) return;
  for (let at = unit.attempt.hasRepeated ? 0 : unit.attempt.openFrom; at < unit.plans.length; at++) {
    const plan = unit.plans[at] as Plan;
    if (isWrite(plan)) (session.open ??= new WriteSet()).add(plan);
  }
}

function committed(session: Session, unit: Unit): void {
  const { writes, database } = session;
  const { topology } = database;
  writes?.knownBy(topology.catalog());
  if (unit.attempt.guard === undefined || (writes?.all === true && (unit.attempt.guardedWrites & everything) === 0)) {
    const guard = closeAll(session);
    if (guard !== undefined) addGuard(unit, guard);
  }
  unit.attempt.guard?.committed(topology.ticker.next(), topology.ticker);
  session.tokens.schema.wrote(topology.schema);
  if (writes?.changesCatalog !== true) return;
  session.services.book.ddlDone();
  topology.catalogChanged();
  if (writes.changesDefaults) database.defaultsChanged();
}

/** The server is gone, or the unit was passed over: whatever was open there is no more. */
export function forgetTransaction(session: Session, status: number = TxStatus.Idle): void {
  session.transaction = phaseOf(status);
  session.open = undefined;
  if (session.inFlight.length === 0) session.writes = undefined;
}

/** The session loses its server, or leaves it: what was in flight there is decided when the backend is gone. */
export function leaveUndecided(session: Session): void {
  const { server, inFlight, database, writes, services } = session;
  if (server === undefined) return;
  const { topology } = database;
  for (let i = 0; i < inFlight.length; i++) {
    const { guard } = (inFlight.at(i) as Unit).attempt;
    if (guard === undefined) continue;
    const whenDecided = topology.whenGone(server).then(() => {
      const prefix = database.tagPrefix();
      writes?.knownBy(topology.catalog());
      if (writes?.all === true && prefix !== undefined) void services.cache.invalidate([`${prefix}all`], 'catalog');
    });
    guard.unknown(whenDecided);
  }
}
