/**
 * Tells the watch on statements (statements/) of the end of each: its part of the time of its request, its rows, and how it went.
 * Each moment of a request counts once: for its first statement from the arrival, for a later one from the end of the one
 * before. In a pipeline or a lane, the server works on a request from its answer to the one before. Called by receiver.ts,
 * count.ts and client.ts, only while there is a watch.
 */
import { Backend } from '../protocol/codes.ts';
import type { Plan } from '../binding/plan.ts';
import type { QueryFacts } from '../sql/facts.ts';
import { nobody, type StatementDetails, type StatementEnd, type StatementWatch } from '../statements/types.ts';
import { Progress } from '../session/attempt.ts';
import type { Request } from '../session/request.ts';
import type { Session } from '../session/session.ts';

/** A statement has completed. @param at its number in the text of the plan */
export function statementCompleted(
  watch: StatementWatch,
  session: Session,
  request: Request,
  plan: Plan | undefined,
  at: number,
  rows: number,
): void {
  const { attempt } = request;
  if (isOnly(request, plan)) {
    // countAnswer has the time of its end.
    attempt.rows = rows;
    return;
  }
  if (plan === undefined) return;
  const nowMs = session.services.nowMs();
  const sinceMs = workedSince(session, request);
  const progress = (attempt.progress ??= new Progress(sinceMs));
  const { end } = watch;
  end.waitMs = progress.count === 0 ? sinceMs - request.receivedAtMs : 0;
  end.serverMs = nowMs - progress.atMs;
  end.rows = rows;
  progress.atMs = nowMs;
  progress.count++;
  progress.plan = plan;
  progress.at = at;
  ended(watch, session, request, plan.facts, at, false);
}

/** It is the only statement of its request. */
function isOnly({ plans, form, isComplete }: Request, plan: Plan | undefined): boolean {
  return isComplete && form.executions === 1 && plan === plans[0] && plan?.facts.statements.length === 1;
}

/** Since when the server has worked on the request; before, it was busy with others. */
function workedSince({ server }: Session, { attempt }: Request): number {
  return Math.max(attempt.sentAtMs, server?.lastReadyAtMs ?? 0);
}

/** A server has reported an error. */
export function statementFailed({ attempt }: Request, sqlstate: string, nowMs: number): void {
  attempt.progress ??= new Progress(nowMs);
  attempt.progress.sqlstate = sqlstate;
}

/** A further message of a batch that was sent before its Sync: what the client has waited before is no time of a statement. */
export function moreSent({ server, services }: Session, { attempt }: Request): void {
  const { progress } = attempt;
  if (progress !== undefined && server?.answers.length === 0) progress.atMs = services.nowMs();
}

/**
 * The request was answered, or will never be.
 * @param readyAtMs when the server had answered what was before it
 */
export function requestEnded(
  watch: StatementWatch,
  session: Session,
  request: Request,
  nowMs: number,
  readyAtMs: number,
): void {
  const { attempt, form } = request;
  const { progress, hasError } = attempt;
  if (form.executions === 0) return;
  if (progress?.plan !== undefined && !hasError) {
    const { plan, at } = progress;
    watch.addServerMs(accountOf(watch, session), plan.facts, at, nowMs - progress.atMs);
    return;
  }
  const plan = nextPlan(request);
  if (plan === undefined) return;
  const at = form.isSimple ? Math.min(progress?.count ?? 0, plan.facts.statements.length - 1) : 0;
  const { end } = watch;
  const isSent = attempt.sentAtMs > 0;
  const isFirst = progress === undefined || progress.count === 0;
  const sinceMs = isFirst ? Math.max(attempt.sentAtMs, readyAtMs) : progress.atMs;
  end.serverMs = isSent ? Math.max(0, nowMs - sinceMs) : 0;
  end.waitMs = isFirst ? nowMs - request.receivedAtMs - end.serverMs : 0;
  end.rows = attempt.rows;
  ended(watch, session, request, plan.facts, at, hasError);
}

/** The one that was executed; of several, the one that follows those that have completed. */
function nextPlan({ attempt, form, plans }: Request): Plan | undefined {
  if (form.isSimple) return plans.at(-1);
  const before = attempt.progress?.plan;
  return before === undefined ? plans[0] : (plans[plans.indexOf(before) + 1] ?? before);
}

/** The client is gone while its statement runs. */
export function clientLeft(session: Session): void {
  const { active } = session.services.statements;
  const request = session.inFlight.peek();
  if (active === undefined || request === undefined) return;
  request.attempt.failed();
  requestEnded(active, session, request, session.services.nowMs(), session.server?.lastReadyAtMs ?? 0);
}

function accountOf(watch: StatementWatch, session: Session): NonNullable<Session['account']> {
  return (session.account ??= watch.accountOf(session.database.name, session.user));
}

function ended(
  watch: StatementWatch,
  session: Session,
  request: Request,
  facts: QueryFacts,
  at: number,
  hasError: boolean,
): void {
  if (facts.statements[at]?.kind === 'empty') return;
  const { end } = watch;
  const { cache, target, attempt } = request;
  end.hasError = hasError;
  end.cache = cache.label;
  end.node = cache.label === 'hit' ? 'cache' : attempt.sentAtMs > 0 ? (target.node?.name ?? 'none') : 'none';
  const whom = watch.ended(accountOf(watch, session), facts, at, request.trace);
  if (whom !== nobody) watch.tell(whom, facts, at, detailsOf(end, session, request, facts));
}

function detailsOf(
  end: Readonly<StatementEnd>,
  session: Session,
  request: Request,
  facts: QueryFacts,
): StatementDetails {
  const { target, attempt, planned, cache, trace } = request;
  const isHit = cache.label === 'hit';
  const node = attempt.sentAtMs > 0 && !isHit ? target.node : undefined;
  const why = target.route?.why() ?? `${planned.why}; the session keeps its server`;
  return {
    ...end,
    database: session.database.name,
    user: session.user,
    applicationName: session.state.settings.get('application_name') ?? '',
    route: isHit ? 'cache' : node === undefined ? 'none' : node.role === 'replica' ? 'replica' : 'primary',
    // What the parser says of a text quotes it.
    why: facts.unparsed !== undefined ? 'not parsed' : isHit ? 'cached' : why,
    server: node && { host: node.config.host, port: node.config.port },
    sqlstate: attempt.progress?.sqlstate,
    trace,
  };
}

/** @param tag the bytes of the message CommandComplete without its head @returns the number at the end of the tag; 0: none */
export function rowsIn(type: number, tag: Buffer, start: number, end: number): number {
  if (type !== Backend.CommandComplete) return 0;
  let rows = 0;
  let unit = 1;
  for (let i = end - 2; i >= start; i--) {
    const digit = (tag[i] as number) - 0x30;
    if (digit < 0 || digit > 9) break;
    rows += digit * unit;
    unit *= 10;
  }
  return rows;
}
