/**
 * Tells the watch on statements (statements/) of the end of each: its part of the time of its request, its rows, how it went.
 * In a pipeline or a lane, the server works on a request from its answer to the one before. PostgreSQL sends the answers of a
 * batch, or of a text of several statements, together: then nobody knows what each has taken, and each counts with an equal
 * part. Called by receiver.ts, count.ts and client.ts, only while there is a watch.
 */
import { Backend } from '../protocol/codes.ts';
import type { Plan } from '../binding/plan.ts';
import type { QueryFacts } from '../sql/facts.ts';
import { nobody, type StatementDetails, type StatementEnd, type StatementWatch } from '../statements/types.ts';
import { Progress } from '../session/attempt.ts';
import type { Request } from '../session/request.ts';
import type { Session } from '../session/session.ts';

/** A statement has completed. @param at its number in the text of the plan @param chunk the bytes in which its answer came */
export function statementCompleted(
  watch: StatementWatch,
  session: Session,
  request: Request,
  plan: Plan | undefined,
  at: number,
  rows: number,
  chunk: Buffer,
): void {
  const { attempt } = request;
  if (isOnly(request, plan)) {
    // countAnswer has the time of its end.
    attempt.rows = rows;
    return;
  }
  if (plan === undefined) return;
  const nowMs = session.services.nowMs();
  const progress = (attempt.progress ??= begun(session, request));
  const isTogether = progress.chunk === chunk || nowMs - progress.atMs <= togetherMs;
  progress.chunk = chunk;
  if (!isTogether || progress.completed.length >= mostTogether)
    countCompleted(watch, session, request, progress, progress.atMs);
  progress.atMs = nowMs;
  progress.count++;
  progress.plan = plan;
  progress.completed.push({ plan, at, rows, hasError: false });
}

/** Answers that come closer together were sent together. */
const togetherMs = 0.2;
const mostTogether = 1_000;

function begun(session: Session, request: Request): Progress {
  const progress = new Progress(Math.max(request.attempt.sentAtMs, session.server?.lastReadyAtMs ?? 0));
  progress.waitMs = progress.sinceMs - request.receivedAtMs;
  return progress;
}

/** Counts what was answered together, until `endMs`. */
function countCompleted(
  watch: StatementWatch,
  session: Session,
  request: Request,
  progress: Progress,
  endMs: number,
): void {
  const { completed } = progress;
  const eachMs = Math.max(0, endMs - progress.sinceMs) / completed.length;
  progress.sinceMs = endMs;
  for (const { plan, at, rows, hasError } of completed.splice(0)) {
    const { end } = watch;
    end.waitMs = progress.waitMs;
    end.serverMs = eachMs;
    end.rows = rows;
    progress.waitMs = 0;
    ended(watch, session, request, plan.facts, at, hasError);
  }
}

/** It is the only statement of its request. */
function isOnly({ plans, form, isComplete }: Request, plan: Plan | undefined): boolean {
  if (!isComplete || form.executions !== 1 || plan === undefined || plan !== plans[0]) return false;
  const { statements, unparsed, unreadVerb } = plan.facts;
  // How many there are in a text that was not read is not known.
  return statements.length === 1 && unparsed === undefined && unreadVerb === undefined;
}

/** A server has reported an error, or Weir answers with one of its own. */
export function statementFailed(session: Session, request: Request, sqlstate: string): void {
  if (session.services.statements.active === undefined) return;
  const { attempt } = request;
  attempt.progress ??= begun(session, request);
  attempt.progress.sqlstate = sqlstate;
}

/** A further message of a batch that was sent before its Sync: what the server has waited for it is no time of a statement. */
export function moreSent(watch: StatementWatch, session: Session, request: Request): void {
  const { attempt } = request;
  if (attempt.sentAtMs === 0 || session.server?.answers.length !== 0) return;
  // Nothing has completed yet: a client has prepared, looks at the types, and goes on.
  const progress = (attempt.progress ??= begun(session, request));
  if (progress.count === 0) progress.hasPaused = true;
  if (progress.completed.length > 0) countCompleted(watch, session, request, progress, progress.atMs);
  progress.sinceMs = progress.atMs = session.services.nowMs();
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
  if (progress !== undefined && progress.count > 0) {
    if (hasError) failedBehind(request, progress);
    if (progress.completed.length > 0) countCompleted(watch, session, request, progress, nowMs);
    return;
  }
  const plan = form.isSimple ? request.plans.at(-1) : request.plans[0];
  if (plan === undefined) return;
  const { end } = watch;
  if (progress?.hasPaused === true) {
    end.serverMs = Math.max(0, nowMs - Math.max(progress.sinceMs, readyAtMs));
    end.waitMs = progress.waitMs;
  } else {
    end.serverMs = attempt.sentAtMs > 0 ? Math.max(0, nowMs - Math.max(attempt.sentAtMs, readyAtMs)) : 0;
    end.waitMs = nowMs - request.receivedAtMs - end.serverMs;
  }
  end.rows = attempt.rows;
  ended(watch, session, request, plan.facts, 0, hasError);
}

/** The one that follows those that have completed. */
function failedBehind({ form, plans }: Request, { plan, count, completed }: Progress): void {
  if (plan === undefined) return;
  const next = form.isSimple ? plan : (plans[plans.indexOf(plan) + 1] ?? plan);
  const at = form.isSimple ? Math.min(count, plan.facts.statements.length - 1) : 0;
  completed.push({ plan: next, at, rows: 0, hasError: true });
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
    why: facts.unparsed !== undefined || facts.unreadVerb !== undefined ? 'not parsed' : isHit ? 'cached' : why,
    server: node && { host: node.config.host, port: node.config.port },
    sqlstate: attempt.progress?.sqlstate,
    trace,
  };
}

/** @param tag the bytes of the message CommandComplete without its head @returns the number at the end of the tag; 0: none */
export function rowsIn(type: number, tag: Buffer, start: number, end: number): number {
  // MOVE returns none of those that it counts; MERGE does change its.
  if (type !== Backend.CommandComplete || (tag[start] === 0x4d && tag[start + 1] === 0x4f)) return 0;
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
