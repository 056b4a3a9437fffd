/**
 * Runs requests once more: reads of which the client has seen nothing, if their server died, or if a replica refused them (25006,
 * say) or cancelled them (a conflict with recovery); and the first statement of a READ ONLY transaction with its BEGIN, if a
 * replica refused or cancelled that. What was pipelined behind them runs again too, in order. Called by receiver.ts, settle.ts and
 * server-lost.ts.
 */
import type { Session } from '../session/session.ts';
import { beginOnPrimary, mayEnd, mayBeginOnPrimary } from './begin-on-primary.ts';
import { Attempt } from '../session/attempt.ts';
import type { Request } from '../session/request.ts';

/** A request that has failed on so many servers is not sent to another one. */
export const maxAttempts = 3;

/**
 * Is it kept until it is answered, so that it can run again? Only if it is whole and small enough, and is provably a read by
 * itself, or the first statement of a transaction that can still begin elsewhere.
 */
export function mayBeKept(session: Session, request: Request): boolean {
  if (!request.isComplete || request.planned.begins) return false;
  if (session.mustStay ? !mayBeginOnPrimary(session) || !leavesNothing(request) : !request.planned.isRead) return false;
  // A statement that the batch closes after using it would be missed the second time.
  if (request.form.shape.lastIndexOf('C') > 0) return false;
  return session.inFlight.length === 0 || session.keptBytes + request.form.bytes <= maxKeptBytes;
}

/**
 * Passed over in a failed transaction, does it do nothing? If it ends that transaction itself, a SET behind the end would be done
 * all the same, on a server that others have next. In which order a batch executes its statements, its plans do not say.
 */
function leavesNothing({ planned, plans }: Request): boolean {
  if (planned.isRead) return true;
  if (plans.length === 0 || !plans.every((plan) => plan.isAlikeOnStandby)) return false;
  return !plans.some(mayEnd) || (plans.length === 1 && plans[0]?.facts.statements.length === 1);
}

/** Limit for all requests that are kept and pipelined behind others. */
const maxKeptBytes = 256 * 1024;

export function canRunAgain(request: Request): boolean {
  const isUnseen = request.state === 'running' || request.state === 'passed over';
  return isUnseen && request.messages !== undefined && request.target.attempts < maxAttempts;
}

/** Errors that a read gets on replicas alone, by what does not depend on the language of the messages; and what follows. */
const replicasOnly: ReadonlyMap<string, (session: Session, request: Request) => void> = new Map([
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

/** The SQLSTATE; for 0A000 (not supported), which says too little, the routine of the server that reports it. */
function reasonIn(fields: ReadonlyMap<string, string>): string {
  const sqlstate = fields.get('C') ?? '';
  return sqlstate === '0A000' ? (fields.get('R') ?? '') : sqlstate;
}

/**
 * A replica refuses `first`, which was taken for a read, or cancels it in favour of the replay. True: the client will not
 * hear of it; what is behind it on that server is passed over too, and all of it runs again once the server has answered.
 */
export function passOverAndRunAgain(session: Session, first: Request, fields: ReadonlyMap<string, string>): boolean {
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
  for (let i = 0; i < inFlight.length; i++) if (!canRunAgain(inFlight.at(i) as Request)) return false;
  return true;
}

/** The client will not hear of what is in flight, and all of it runs again once the server has answered. */
export function passOverAll(session: Session): void {
  const { inFlight } = session;
  for (let i = 0; i < inFlight.length; i++) passOver(session, inFlight.at(i) as Request);
}

/** ReadyForQuery for a request that was passed over, which is no longer in flight. */
export function settlePassedOver(session: Session, request: Request): void {
  session.again.push(request);
  if (session.inFlight.length === 0) runAgain(session, session.again.splice(0));
}

function noteMisroute(session: Session, request: Request): void {
  const { database, services } = session;
  database.stats.misroutes++;
  for (const plan of request.plans) services.binder.learnWrite(plan.facts);
  if (request.target.node !== undefined) database.topology.suspectRole(request.target.node.name);
  services.log('warn', 'misroute', 'a replica refused what was taken for a read; it runs on the primary', {
    database: database.name,
    template: request.plans[0]?.facts.template,
  });
  request.cache.drop();
  request.target.isRefused = true;
  request.target.retryWhy = 'a replica refused it (25006)';
  request.planned.refusedAsRead(request.target.retryWhy);
}

/** A conflict with recovery says nothing about the statement: it is a read, and may go to a replica the next time. */
function noteConflict(session: Session, request: Request): void {
  const { database, services } = session;
  database.stats.recoveryConflicts++;
  const why = `${request.target.node?.name ?? 'a replica'} cancelled it in favour of the replay`;
  if (session.keepsServer || database.topology.snapshot().primary?.isUp === true) {
    request.target.isRefused = true;
    request.target.retryWhy = why;
  } else {
    avoidNode(request, why);
  }
  services.log('info', 'recovery_conflict', `${why}; it runs again`, {
    database: database.name,
    template: request.plans[0]?.facts.template,
  });
}

function refused(why: string): (session: Session, request: Request) => void {
  return (_session, request) => {
    request.target.isRefused = true;
    request.target.retryWhy = why;
  };
}

/** The request has failed on its node; another replica may do better. */
export function avoidNode(request: Request, why: string): void {
  request.target.retryWhy = why;
  if (request.target.node?.role === 'replica') request.target.avoid = request.target.node.name;
}

/** Sends requests of which the client has seen nothing through the routing once more, one after the other. */
export function runAgain(session: Session, requests: readonly Request[]): void {
  for (const request of requests) reset(session, request);
  session.intake.again(requests);
  const first = requests[0] as Request;
  if (mayBeginOnPrimary(session)) beginOnPrimary(session, first, first.target.retryWhy);
  else session.release();
  session.moments.runsAgain();
  session.waiting('answers');
  session.goOn(() => take(session, requests, 0));
}

function take(session: Session, requests: readonly Request[], at: number): void {
  if (at + 1 < requests.length) session.firstWhenQuiet(() => take(session, requests, at + 1));
  const request = requests[at] as Request;
  // Behind the first request of a transaction it belongs to that, and goes to the same server.
  session.advance(request, at > 0 && session.keepsServer ? 'prepare own server' : 'find server');
}

function passOver(session: Session, request: Request): void {
  if (request.state !== 'passed over') session.move(request, 'passed over');
}

function reset(session: Session, request: Request): void {
  const { entered, guard } = request.attempt;
  session.move(request, 'taken up again');
  for (const [name, statement] of entered ?? []) session.prepared.forget(name, statement);
  // A read commits nothing; what those before it may have committed is closed by their own guards.
  guard?.rolledBack();
  request.attempt = new Attempt();
  request.target.attempts++;
  request.target.node = undefined;
}
