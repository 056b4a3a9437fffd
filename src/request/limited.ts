/**
 * Counts statements and bytes against the limits, and refuses a request that is over one. Called by
 * intake.ts and client.ts. A transaction that is open, and COMMIT and ROLLBACK, are counted and never refused.
 */
import type { WeirError } from '../errors/errors.ts';
import type { StatementLimiter } from '../limits/types.ts';
import type { StatementFacts, TransactionVerb } from '../sql/facts.ts';
import { Frontend, TxStatus } from '../protocol/codes.ts';
import { Meter } from '../session/meter.ts';
import type { Request } from '../session/request.ts';
import type { Session } from '../session/session.ts';
import { handleIfAllowed, handleRequest } from './handle-request.ts';

/** A request has come: it is handled, or refused. */
export function handleWithinLimits(session: Session, request: Request): void {
  const { active } = session.services.limits;
  if (active === undefined) handleRequest(session, request);
  else handleLimited(session, request, active);
}

function handleLimited(session: Session, request: Request, limiter: StatementLimiter): void {
  const meter = meterOf(session, limiter);
  const account = meter.accountIn(limiter);
  const own = statementsIn(request);
  // A batch that is sent before its Sync cannot be refused any more when its Execute comes: that is paid for now.
  meter.isPrepaid = !request.isComplete && own === 0;
  const count = meter.isPrepaid ? 1 : own;
  if (count === 0) return handleRequest(session, request);
  const isInTransaction = session.inFlight.length === 0 && session.status !== TxStatus.Idle;
  if (!isInTransaction && !endsTransaction(request)) {
    if (limiter.tryTake(account, count)) return handleRequest(session, request);
    // What is in flight may begin a transaction, of which this request is then a part, or end it.
    return handleIfAllowed(session, request, () => refusal(session, limiter, count));
  }
  limiter.spend(account, count);
  handleRequest(session, request);
}

/** A further message of a batch that is on a server already: its statements belong to a transaction. */
export function countFurther(session: Session, type: number): void {
  const { active } = session.services.limits;
  if (active === undefined || !isStatement(type)) return;
  const meter = meterOf(session, active);
  if (!meter.isPrepaid) active.spend(meter.accountIn(active), 1);
  meter.isPrepaid = false;
}

/** Counts what the client has received and sent since the last time: now and then, and at its end. */
export function countBytes(session: Session): void {
  const { active } = session.services.limits;
  if (active !== undefined && session.meter !== undefined) meterOf(session, active);
}

function refusal(session: Session, limiter: StatementLimiter, count: number): WeirError | undefined {
  const account = meterOf(session, limiter).accountIn(limiter);
  if (session.status === TxStatus.Idle) return limiter.take(account, count);
  limiter.spend(account, count);
  return undefined;
}

/** With all its bytes counted. */
function meterOf(session: Session, limiter: StatementLimiter): Meter {
  const { receivedBytes, sentBytes } = session.wire;
  const meter = (session.meter ??= new Meter(session.who, receivedBytes + sentBytes));
  meter.countBytes(limiter, receivedBytes + sentBytes);
  return meter;
}

const ends: ReadonlySet<TransactionVerb | undefined> = new Set([
  'commit',
  'rollback',
  // A prepared transaction holds its locks until then.
  'commit-prepared',
  'rollback-prepared',
]);

function endsTransaction({ plans }: Request): boolean {
  if (plans.length === 0) return false;
  return plans.every(({ transaction }) => ends.has(transaction));
}

const isStatement = (type: number): boolean =>
  type === Frontend.Query || type === Frontend.Execute || type === Frontend.FunctionCall;

/** Each Execute, and each statement in the text of a Query. Texts without a statement ('', a comment) are none. */
function statementsIn({ messages = [], form, plans }: Request): number {
  if (plans.length > 0 && plans.every(({ facts }) => facts.statements.every(isEmpty))) return 0;
  let count = 0;
  for (const { type } of messages) if (isStatement(type)) count++;
  if (!form.isSimple) return count;
  const inText = plans.at(-1)?.facts.statements.filter((statement) => !isEmpty(statement)).length ?? 1;
  return count - 1 + inText;
}

const isEmpty = ({ kind }: StatementFacts): boolean => kind === 'empty';
