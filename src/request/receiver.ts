/**
 * Receives the server's messages for one client: relays them, reports transactions and session state to the session's
 * concerns, holds back answers of requests that may have to run again, and settles each request at its ReadyForQuery.
 */
import { Backend, statusLetter } from '../protocol/codes.ts';
import { Owed, type Answer } from '../protocol/answers.ts';
import { mayBeFinal } from '../backend/connection-end.ts';
import type { End } from '../backend/receiver.ts';
import type { AnswerReceiver } from '../backend/server.ts';
import type { Plan } from '../binding/plan.ts';
import { parameterStatus, readyForQuery } from '../protocol/write.ts';
import type { Session } from '../session/session.ts';
import { canRunAgain, passOverAndRunAgain } from './run-again.ts';
import { runsWithAnew } from './prepared/borrowed.ts';
import { leaveSlowLane } from './lane.ts';
import { settle } from './settle.ts';
import { serverLost } from './server-lost.ts';
import { rowsIn, statementCompleted, statementFailed } from './statement-ends.ts';
import { isUnservedByServer } from './unserved.ts';
import type { Request } from '../session/request.ts';

const syntaxError = '42601';
const noTag = Buffer.alloc(0);

export class Receiver implements AnswerReceiver {
  private readonly session: Session;

  constructor(session: Session) {
    this.session = session;
  }

  get isPinned(): boolean {
    return this.session.state.isPinned;
  }

  relay(buffer: Buffer, start: number, end: number): void {
    const { session } = this;
    const request = session.inFlight.peek();
    const bytes = start === 0 && end === buffer.length ? buffer : buffer.subarray(start, end);
    if (request !== undefined) {
      const { state } = request;
      if (state === 'passed over' || state === 'taken back') return;
      if (request.attempt.held !== undefined) {
        request.attempt.held.push(bytes);
        if (!endsHolding(buffer, start, end)) return;
        this.letGo(request);
        return;
      }
      request.cache.capture?.add(buffer, start, end);
      if (state !== 'shown') session.move(request, 'shown');
    }
    session.say(bytes);
  }

  /** Sends what was held back to the client: from now on the request cannot run again. */
  private letGo(request: Request): void {
    const held = request.attempt.held ?? [];
    request.attempt.held = undefined;
    if (request.state === 'running') this.session.move(request, 'shown');
    for (const bytes of held) {
      request.cache.capture?.add(bytes, 0, bytes.length);
      this.session.say(bytes);
    }
  }

  completed(type: number, answer: Answer<AnswerReceiver>, buffer: Buffer, start: number, end: number): void {
    const { session } = this;
    const request = session.inFlight.peek();
    if (request === undefined) return;
    if (type === Backend.CopyInResponse || type === Backend.CopyBothResponse || type === Backend.CopyOutResponse) {
      request.cache.capture = undefined;
      session.intake.copyIn.heard();
      return;
    }
    if (request.state === 'passed over') return session.intake.copyIn.heard();
    const isQuery = answer.kind === Owed.Query;
    const plan = isQuery ? request.plans.at(-1) : (answer.context as Plan | undefined);
    const at = isQuery ? request.attempt.statementIndex++ : 0;
    const facts = plan?.facts.statements[at];
    const { active } = session.services.statements;
    if (active !== undefined)
      statementCompleted(active, session, request, plan, at, rowsIn(type, buffer, start, end), buffer);
    if (request.planned.mayCopyIn) session.intake.copyIn.heard();
    const tagged = type === Backend.CommandComplete ? buffer : noTag;
    session.moments.completed(request, isQuery, plan, facts, tagged, start, end);
    if (plan === undefined || facts === undefined) return;
    // A portal fetched in pieces has made its calls with the first piece.
    if (type === Backend.PortalSuspended && (facts.kind !== 'select' || !plan.hasEffects)) return;
    if (plan.hasEffects || facts.transaction !== undefined) {
      const tag = type === Backend.CommandComplete ? buffer.toString('latin1', start, end - 1) : '';
      session.moments.statementDone(facts, tag, isQuery);
      if (!isQuery) session.moments.effectsDone(plan);
    }
  }

  errored(fields: Map<string, string>, buffer: Buffer, start: number, end: number): void {
    const { session } = this;
    const request = session.inFlight.peek();
    if (request === undefined) return this.relay(buffer, start, end);
    const sqlstate = fields.get('C') ?? '';
    request.attempt.failed(isUnservedByServer(sqlstate));
    statementFailed(session, request, sqlstate);
    if (sqlstate === syntaxError && isUnparsable(request, fields)) request.attempt.noteUnparsable();
    session.intake.copyIn.heard();
    session.moments.failed(request);
    if (request.state === 'passed over' || request.state === 'taken back') return;
    if (passOverAndRunAgain(session, request, fields)) return;
    if (sqlstate === '0A000' && fields.get('R') === 'RevalidateCachedQuery') {
      session.services.book.catalogChanged();
      if (runsWithAnew(session, request)) return;
    }
    if (request.attempt.held !== undefined) {
      request.attempt.held.push(buffer.subarray(start, end));
      return this.letGo(request);
    }
    this.relay(buffer, start, end);
  }

  noticed(): void {
    const request = this.session.inFlight.peek();
    if (request !== undefined) request.cache.capture = undefined;
  }

  parameterChanged(name: string, value: string, frame: Buffer): void {
    const request = this.session.inFlight.peek();
    if (request !== undefined) request.cache.capture = undefined;
    const told = this.session.state.parameterChanged(name, value);
    if (told === value) return this.relay(frame, 0, frame.length);
    if (told === undefined) return;
    const bytes = parameterStatus(name, told);
    this.relay(bytes, 0, bytes.length);
  }

  ready(status: number): void {
    const { session } = this;
    const request = session.inFlight.peek();
    if (request === undefined) return;
    if (request.attempt.held !== undefined && request.state !== 'passed over') this.letGo(request);
    if (request.state === 'taken back') session.say(readyForQuery(statusLetter(status)));
    session.inFlight.shift();
    settle(session, request, status);
    session.intake.copyIn.heard();
  }

  recounted(readies: number, status: number): void {
    const { session } = this;
    const request = session.inFlight.shift();
    if (request === undefined) return;
    for (let i = 0; i < readies; i++) session.say(readyForQuery(statusLetter(status)));
    session.intake.recounted(request, readies);
    settle(session, request, status);
    session.intake.copyIn.heard();
  }

  lost(end: End, isMidMessage: boolean, isOwed: boolean): void {
    serverLost(this.session, end, isMidMessage, isOwed);
  }

  heldUp(why: string): void {
    leaveSlowLane(this.session, why);
  }

  /** The server can be lost unnoticed now, because everything in flight can run again elsewhere. */
  mayLose(): boolean {
    const { inFlight, mustStay } = this.session;
    if (mustStay) return false;
    for (let i = 0; i < inFlight.length; i++) if (!canRunAgain(inFlight.at(i) as Request)) return false;
    return true;
  }

  get processId(): number {
    return this.session.identity.id;
  }

  get isFull(): boolean {
    return this.session.wire.isFull;
  }

  drained(): void {
    this.session.wire.regulate();
  }
}

/**
 * @returns true if the text as a whole was refused, so that nothing of it was executed. An error inside a called
 * function would have a context.
 */
function isUnparsable(request: Request, fields: Map<string, string>): boolean {
  if (request.attempt.statementIndex > 0 || fields.has('W') || fields.has('q')) return false;
  return request.plans.length === 1 && request.plans[0]?.facts.unparsed !== undefined;
}

/**
 * @returns true if the answer need not be held back after this message. Rows and completions mean that the statement
 * runs; answers to Parse, Bind and Describe do not, nor does a warning that may be the server's last message.
 */
function endsHolding(buffer: Buffer, start: number, end: number): boolean {
  const type = buffer[start];
  if (type === Backend.NoticeResponse) return !mayBeFinal(buffer, start, end);
  return !(
    type === Backend.ParseComplete ||
    type === Backend.BindComplete ||
    type === Backend.CloseComplete ||
    type === Backend.ParameterDescription ||
    type === Backend.NoData ||
    type === Backend.RowDescription
  );
}
