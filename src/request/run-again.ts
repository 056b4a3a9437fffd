/**
 * Runs requests again: reads of which the client has seen nothing, if their server was lost, or if a replica refused
 * them (such as 25006) or cancelled them (a recovery conflict); and the first statement of a READ ONLY transaction
 * with its BEGIN, if a replica refused or cancelled it. Requests pipelined behind them run again too, in order. Called
 * by receiver.ts, settle.ts and server-lost.ts.
 */
import type { Session } from '../session/session.ts';
import { beginOnPrimary, mayEnd, mayBeginOnPrimary } from './begin-on-primary.ts';
import { Attempt } from '../session/attempt.ts';
import type { Request } from '../session/request.ts';

/** Maximum number of servers on which a request is tried. */
export const maxAttempts = 3;

/**
 * @returns true if the request is kept until it is answered, so that it can run again: it is complete and small
 * enough, and either provably a read by itself or the first statement of a transaction that can still begin elsewhere
 */
export function mayBeKept(session: Session, request: Request): boolean {
  if (!request.isComplete || request.planned.begins) return false;
  if (session.mustStay ? !mayBeginOnPrimary(session) || !leavesNothing(request) : !request.planned.isRead) return false;
  // A statement that the batch uses and then closes would be missing the second time.
  if (request.form.shape.lastIndexOf('C') > 0) return false;
  return session.inFlight.length === 0 || session.keptBytes + request.form.bytes <= maxKeptBytes;
}

/**
 * @returns true if the request does nothing in a failed transaction. If it ends that transaction itself, a later SET
 * in it would take effect, on a server that other sessions use next. The plans of a batch do not tell the order of
 * execution.
 */
function leavesNothing({ planned, plans }: Request): boolean {
  if (planned.isRead) return true;
  if (plans.length === 0 || !plans.every((plan) => plan.isAlikeOnStandby)) return false;
  return !plans.some(mayEnd) || (plans.length === 1 && plans[0]?.facts.statements.length === 1);
}

/** Limit for all kept requests that are pipelined behind others, in bytes. */
const maxKeptBytes = 256 * 1024;

export function canRunAgain(request: Request): boolean {
  const isUnseen = request.state === 'running' || request.state === 'passed over';
  return isUnseen && request.messages !== undefined && request.target.attempts < maxAttempts;
}

/**
 * Errors that a read gets only on replicas, identified independently of the message language, and how to handle them.
 */
const replicasOnly: ReadonlyMap<string, (session: Session, request: Request) => void> = new Map([
  ['25006', noteMisroute],
  // A recovery conflict: cancelled, or chosen as the victim of a deadlock with the startup process.
  ['40001', noteConflict],
  ['40P01', noteConflict],
  // "Recovery is in progress", mostly.
  ['55000', refused('a replica is not in the state for it (55000)')],
  // default_transaction_isolation is serializable for the role, database or server.
  ['GetSerializableTransactionSnapshot', refused('a replica runs no serializable transactions')],
  ['get_relation_info', refused('a replica has no unlogged tables')],
]);

/**
 * @returns the SQLSTATE; for 0A000 (feature_not_supported), which is too general, the reporting routine of the server
 */
function reasonIn(fields: ReadonlyMap<string, string>): string {
  const sqlstate = fields.get('C') ?? '';
  return sqlstate === '0A000' ? (fields.get('R') ?? '') : sqlstate;
}

/**
 * Handles an error by which a replica refuses or cancels `first`.
 * @returns true if the client does not get the error: `first` and everything in flight behind it run again once the
 * server has answered
 */
export function passOverAndRunAgain(session: Session, first: Request, fields: ReadonlyMap<string, string>): boolean {
  const note = replicasOnly.get(reasonIn(fields));
  if (note === undefined || first.target.node?.role !== 'replica') return false;
  if (!canAllRunAgain(session)) return false;
  passOverAll(session);
  note(session, first);
  return true;
}

/** @returns true if everything in flight can run again */
export function canAllRunAgain(session: Session): boolean {
  if (session.keepsServer && !mayBeginOnPrimary(session)) return false;
  const { inFlight } = session;
  for (let i = 0; i < inFlight.length; i++) if (!canRunAgain(inFlight.at(i) as Request)) return false;
  return true;
}

/** Answers to everything in flight are dropped, and all of it runs again once the server has answered. */
export function passOverAll(session: Session): void {
  const { inFlight } = session;
  for (let i = 0; i < inFlight.length; i++) passOver(session, inFlight.at(i) as Request);
}

/** ReadyForQuery has come for a request that was passed over, which is no longer in `inFlight`. */
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

/** A recovery conflict says nothing about the statement: it is a read, and may go to a replica the next time. */
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

/** The request has failed on its node; another replica may succeed. */
export function avoidNode(request: Request, why: string): void {
  request.target.retryWhy = why;
  if (request.target.node?.role === 'replica') request.target.avoid = request.target.node.name;
}

/** Routes requests of which the client has seen nothing again, one after the other. */
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
  // A request after the first one of a transaction goes to the same server.
  session.advance(request, at > 0 && session.keepsServer ? 'prepare own server' : 'find server');
}

function passOver(session: Session, request: Request): void {
  if (request.state !== 'passed over') session.move(request, 'passed over');
}

function reset(session: Session, request: Request): void {
  const { entered, guard } = request.attempt;
  session.move(request, 'taken up again');
  for (const [name, statement] of entered ?? []) session.prepared.forget(name, statement);
  // A read commits nothing; the guards of earlier requests cover their own writes.
  guard?.rolledBack();
  request.attempt = new Attempt();
  request.target.attempts++;
  request.target.node = undefined;
}
