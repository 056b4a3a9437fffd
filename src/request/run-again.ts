/**
 * What runs once more: reads of which the client has seen nothing, when their server died, or a replica refused them
 * (25006, say) or cancelled them (a conflict with recovery); and the first statement of a READ ONLY transaction, with its
 * BEGIN, when a replica did. In order: what was pipelined behind it runs again behind it. Called by settle.ts and server-lost.ts.
 */
import type { Session } from '../session/session.ts';
import { beginOnPrimary, mayEnd, mayBeginOnPrimary } from './begin-on-primary.ts';
import { Attempt } from '../session/attempt.ts';
import type { Unit } from '../session/unit.ts';

/** A request that servers have failed so often is not sent to another one. */
export const maxAttempts = 3;

/**
 * Only what is whole, small enough to be kept until it is answered, and provably a read by itself; or what a transaction that
 * can still begin elsewhere begins with.
 */
export function mayBeKept(session: Session, unit: Unit): boolean {
  if (!unit.isComplete || unit.planned.begins) return false;
  if (session.mustStay ? !mayBeginOnPrimary(session) || !leavesNothing(unit) : !unit.planned.isRead) return false;
  // A statement that the batch closes after using it would be missed the second time.
  if (unit.form.shape.lastIndexOf('C') > 0) return false;
  return session.inFlight.length === 0 || session.keptBytes + unit.form.bytes <= maxKeptBytes;
}

/**
 * Passed over in a failed transaction, does it do nothing? Behind an end of that, in the same unit, a SET would be done all the
 * same, on a server that others have next. In which order a batch executes its statements, its plans do not say.
 */
function leavesNothing({ planned, plans }: Unit): boolean {
  if (planned.isRead) return true;
  if (plans.length === 0 || !plans.every((plan) => plan.isAlikeOnStandby)) return false;
  return !plans.some(mayEnd) || (plans.length === 1 && plans[0]?.facts.statements.length === 1);
}

/** Of requests pipelined behind others. */
const maxKeptBytes = 256 * 1024;

export function canRunAgain(unit: Unit): boolean {
  const isUnseen = unit.state === 'running' || unit.state === 'passed over';
  return isUnseen && unit.messages !== undefined && unit.target.attempts < maxAttempts;
}

/** What only a replica says of a read, whatever language its messages are in; and what follows from it. */
const replicasOnly: ReadonlyMap<string, (session: Session, unit: Unit) => void> = new Map([
  ['25006', noteMisroute],
  // Its statement was in the way of the replay: cancelled, or the victim of a deadlock with it.
  ['40001', noteConflict],
  ['40P01', noteConflict],
  // "Recovery is in progress", mostly.
  ['55000', refused('a replica is not in the state for it (55000)')],
  // default_transaction_isolation is set to that for the role, database or server.
  ['GetSerializableTransactionSnapshot', refused('a replica runs no serializable transactions')],
  ['get_relation_info', refused('a replica has no unlogged tables')],
]);

/** Of what is not supported there, the routine that says so. */
function reasonIn(fields: ReadonlyMap<string, string>): string {
  const sqlstate = fields.get('C') ?? '';
  return sqlstate === '0A000' ? (fields.get('R') ?? '') : sqlstate;
}

/**
 * A replica refuses `first`, which was taken for a read, or cancels it in favour of the replay. True: the client will not
 * hear of it; what is behind it on that server is passed over too, and all of it runs again once the server has answered.
 */
export function passOverAndRunAgain(session: Session, first: Unit, fields: ReadonlyMap<string, string>): boolean {
  const note = replicasOnly.get(reasonIn(fields));
  if (note === undefined || first.target.node?.role !== 'replica') return false;
  if (!canAllRunAgain(session)) return false;
  passOverAll(session);
  note(session, first);
  return true;
}

/** Can all that is in flight run again, wherever that is? */
export function canAllRunAgain(session: Session): boolean {
  if (session.keepsServer && !mayBeginOnPrimary(session)) return false;
  const { inFlight } = session;
  for (let i = 0; i < inFlight.length; i++) if (!canRunAgain(inFlight.at(i) as Unit)) return false;
  return true;
}

/** The client will not hear of what is in flight, and all of it runs again once the server has answered. */
export function passOverAll(session: Session): void {
  const { inFlight } = session;
  for (let i = 0; i < inFlight.length; i++) passOver(session, inFlight.at(i) as Unit);
}

/** ReadyForQuery for a unit that was passed over, which is no longer in flight. */
export function settlePassedOver(session: Session, unit: Unit): void {
  session.again.push(unit);
  if (session.inFlight.length === 0) runAgain(session, session.again.splice(0));
}

function noteMisroute(session: Session, unit: Unit): void {
  const { database, services } = session;
  database.stats.misroutes++;
  for (const plan of unit.plans) services.binder.learnWrite(plan.facts);
  if (unit.target.node !== undefined) database.topology.suspectRole(unit.target.node.name);
  services.log('warn', 'misroute', 'a replica refused what was taken for a read; it runs on the primary', {
    database: database.name,
    template: unit.plans[0]?.facts.template,
  });
  unit.cache.drop();
  unit.target.isRefused = true;
  unit.target.retryWhy = 'a replica refused it (25006)';
  unit.planned.refusedAsRead(unit.target.retryWhy);
}

/** A conflict with recovery says nothing about the statement: it is a read, and may go to a replica the next time. */
function noteConflict(session: Session, unit: Unit): void {
  const { database, services } = session;
  database.stats.recoveryConflicts++;
  const why = `${unit.target.node?.name ?? 'a replica'} cancelled it in favour of the replay`;
  if (session.keepsServer || database.topology.snapshot().primary?.isUp === true) {
    unit.target.isRefused = true;
    unit.target.retryWhy = why;
  } else {
    avoidNode(unit, why);
  }
  services.log('info', 'recovery_conflict', `${why}; it runs again`, {
    database: database.name,
    template: unit.plans[0]?.facts.template,
  });
}

function refused(why: string): (session: Session, unit: Unit) => void {
  return (_session, unit) => {
    unit.target.isRefused = true;
    unit.target.retryWhy = why;
  };
}

/** The unit's node has failed it; another replica may do better. */
export function avoidNode(unit: Unit, why: string): void {
  unit.target.retryWhy = why;
  if (unit.target.node?.role === 'replica') unit.target.avoid = unit.target.node.name;
}

/** Sends units of which the client has seen nothing through the routing once more, one after the other. */
export function runAgain(session: Session, units: readonly Unit[]): void {
  for (const unit of units) reset(session, unit);
  session.intake.again(units);
  const first = units[0] as Unit;
  if (mayBeginOnPrimary(session)) beginOnPrimary(session, first, first.target.retryWhy);
  else session.release();
  session.moments.runsAgain();
  session.waiting('answers');
  session.goOn(() => take(session, units, 0));
}

function take(session: Session, units: readonly Unit[], at: number): void {
  if (at + 1 < units.length) session.firstWhenQuiet(() => take(session, units, at + 1));
  const unit = units[at] as Unit;
  // Behind the first one of a transaction it is in that, which stays where it is.
  session.advance(unit, at > 0 && session.keepsServer ? 'prepare own server' : 'find server');
}

function passOver(session: Session, unit: Unit): void {
  if (unit.state !== 'passed over') session.move(unit, 'passed over');
}

function reset(session: Session, unit: Unit): void {
  const { entered, guard } = unit.attempt;
  session.move(unit, 'taken up again');
  for (const [name, statement] of entered ?? []) session.prepared.forget(name, statement);
  // A read commits nothing; what those before it may have committed is closed by their own guards.
  guard?.rolledBack();
  unit.attempt = new Attempt();
  unit.target.attempts++;
  unit.target.node = undefined;
}
