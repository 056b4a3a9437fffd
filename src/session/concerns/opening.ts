/**
 * The BEGIN READ ONLY of a transaction in which nothing else has happened yet. Such a transaction can begin again on another
 * server, and nobody notices. request/begin-on-primary.ts decides when it has to.
 */
import type { Plan } from '../../binding/plan.ts';
import { TxStatus } from '../../protocol/codes.ts';
import type { Request } from '../request.ts';
import type { Concern, ConcernOwner } from './concern.ts';

export class Opening implements Concern {
  private readonly session: ConcernOwner;
  /** The BEGIN, as long as it is all that the open transaction consists of. */
  private begun: string | undefined;
  /** The open transaction has left its server; this begins it again on the next one. */
  private next: string | undefined;

  constructor(session: ConcernOwner) {
    this.session = session;
  }

  /** Has nothing happened in the open transaction but its BEGIN READ ONLY? */
  get isAll(): boolean {
    return this.begun !== undefined;
  }

  /** Has the open transaction to begin again on the next server? */
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

  /** The text of a BEGIN READ ONLY that is all of the request is kept, without its comments. */
  beforeSend(request: Request): void {
    const plan = request.plans[0];
    if (plan?.beginsReadOnly !== true || request.plans.length !== 1) return;
    const { inFlight, status } = this.session;
    // In an open transaction, or in one that what is in flight leaves open, BEGIN begins nothing.
    const isFirst = inFlight.length === 0 && status === TxStatus.Idle;
    this.begun = isFirst && request.hints?.route !== 'replica' ? plan.facts.template : undefined;
  }

  /** Behind a request that only prepares, only describes or has no statement, the transaction has still done nothing. */
  readyForQuery(request: Request, status: number): void {
    if (this.begun === undefined) return;
    const isNothing =
      (!request.form.executes && !request.form.binds) || (request.plans.length > 0 && request.plans.every(isEmpty));
    if (status !== TxStatus.InTransaction || !(isNothing || this.isOpening(request))) this.begun = undefined;
  }

  /** Is it the BEGIN itself? */
  private isOpening({ plans }: Request): boolean {
    return this.session.status === TxStatus.Idle && plans.length === 1 && plans[0]?.beginsReadOnly === true;
  }
}

function isEmpty({ facts }: Plan): boolean {
  return facts.statements.every(({ kind }) => kind === 'empty');
}
