/**
 * The BEGIN READ ONLY of a transaction that has done nothing else yet. Such a transaction can begin again on another
 * server without the client noticing. request/begin-on-primary.ts decides when it has to.
 */
import type { Plan } from '../../binding/plan.ts';
import { TxStatus } from '../../protocol/codes.ts';
import type { Request } from '../request.ts';
import type { Concern, ConcernOwner } from './concern.ts';

export class Opening implements Concern {
  private readonly session: ConcernOwner;
  /** Text of the BEGIN, while it is all that the open transaction has done. */
  private begun: string | undefined;
  /** Text of the BEGIN to run on the next server, after the open transaction has left its server. */
  private next: string | undefined;

  constructor(session: ConcernOwner) {
    this.session = session;
  }

  /** The open transaction has done nothing but BEGIN READ ONLY. */
  get isAll(): boolean {
    return this.begun !== undefined;
  }

  /** The open transaction must begin again on the next server. */
  get isToBegin(): boolean {
    return this.next !== undefined;
  }

  /** The transaction leaves its server. */
  leave(): void {
    this.next = this.begun;
    this.begun = undefined;
  }

  /* ---- moments ---- */

  prepareServer(): string | undefined {
    return this.next;
  }

  serverPrepared(): void {
    this.next = undefined;
  }

  /** Keeps the text of a BEGIN READ ONLY, without its comments, if the request consists of it alone. */
  beforeSend(request: Request): void {
    const plan = request.plans[0];
    if (plan?.beginsReadOnly !== true || request.plans.length !== 1) return;
    const { inFlight, status } = this.session;
    // In a transaction block, or in one that a request in flight leaves open, BEGIN has no effect.
    const isFirst = inFlight.length === 0 && status === TxStatus.Idle;
    this.begun = isFirst && request.hints?.route !== 'replica' ? plan.facts.template : undefined;
  }

  /** A request that only prepares or describes, or has no statement, leaves the transaction as it was. */
  readyForQuery(request: Request, status: number): void {
    if (this.begun === undefined) return;
    const isNothing =
      (!request.form.executes && !request.form.binds) || (request.plans.length > 0 && request.plans.every(isEmpty));
    if (status !== TxStatus.InTransaction || !(isNothing || this.isOpening(request))) this.begun = undefined;
  }

  /** The request is the BEGIN itself. */
  private isOpening({ plans }: Request): boolean {
    return this.session.status === TxStatus.Idle && plans.length === 1 && plans[0]?.beginsReadOnly === true;
  }
}

function isEmpty({ facts }: Plan): boolean {
  return facts.statements.every(({ kind }) => kind === 'empty');
}
