/**
 * What a session has read, so that it never reads anything older: how far the next node must have replayed
 * (tokens.ts), which cached answers are recent enough, and which writes it must wait for on the primary because a
 * replica may have shown them already (request/await-visible.ts). Also stores the session's answers in the cache.
 */
import type { SessionFreshness, UnderWay } from '../../cache/types.ts';
import { TxStatus } from '../../protocol/codes.ts';
import { Fields } from '../../util/fields.ts';
import type { Request } from '../request.ts';
import type { Concern, ConcernOwner } from './concern.ts';
import { SessionTokens } from './tokens.ts';

const maxKept = 8;

interface PackedFreshness {
  readonly hasWritten: boolean;
  readonly hasRead: boolean;
  readonly isUnproven: boolean;
}

export class Freshness implements Concern {
  private readonly session: ConcernOwner;
  readonly tokens = new SessionTokens();
  /** Cached answers older than this are not used for the session. */
  readonly seen: SessionFreshness;
  /** Writes that a replica may have shown to the session before they are visible on the primary. */
  private ahead: UnderWay[] | undefined;

  constructor(session: ConcernOwner) {
    this.session = session;
    this.seen = session.services.cache.newFreshness();
  }

  /** Whether the session may have seen writes that are not visible on the primary yet. */
  get isAhead(): boolean {
    return this.ahead !== undefined;
  }

  /**
   * @returns a write to a table that the request reads, which a replica may have shown to the session although it is
   * not visible on the primary yet; undefined: there is none
   */
  toAwait(request: Request): UnderWay | undefined {
    if (this.ahead === undefined || this.session.serverNode?.role === 'replica') return undefined;
    this.ahead = this.ahead.filter((one) => !one.isOver());
    if (this.ahead.length === 0) this.ahead = undefined;
    const reads = (one: UnderWay): boolean =>
      request.plans.some((plan) => plan.reads.some((tag) => one.tags.includes(tag)));
    return this.ahead?.find(reads);
  }

  /** The session has waited long enough for these writes, and does not wait for them again. */
  waitedEnough(): void {
    this.ahead = undefined;
  }

  /* ---- moments ---- */

  readyForQuery(request: Request, status: number): void {
    const isIdle = status === TxStatus.Idle;
    const { ticker } = this.session.database.topology;
    const { node } = request.target;
    if (node !== undefined && (isIdle || request.attempt.hasCommitted)) {
      // Another server may have its name by now, which is perhaps not as far.
      const name = node.load.isGone === true ? '' : node.name;
      if (request.planned.isRead && this.session.status === TxStatus.Idle) this.tokens.read(ticker, name);
      else this.tokens.wrote(ticker, name);
    }
    fillCache(request, isIdle);
    if (node?.role === 'replica') this.noteAhead(request);
    const { cache } = this.session.services;
    if (!cache.isEnabled) return;
    for (const plan of request.plans) if (plan.reads.length > 0) cache.noteRead(plan.reads, this.seen);
  }

  holdsUp(isLate: boolean): string | undefined {
    if (isLate || this.ahead?.every((one) => one.isOver()) !== false) return undefined;
    return 'a write that it may have seen is not visible on the primary yet';
  }

  /** Ticks mean nothing in another process: what counts is whether there is something to be older than. */
  pack(): PackedFreshness {
    return { ...this.tokens.pack(), isUnproven: this.seen.isUnproven };
  }

  /** Everything that the session has written and read came before the next tick, and before its next cached answer. */
  unpack(packed: unknown): void {
    const fields = new Fields('the freshness', packed, ['hasWritten', 'hasRead', 'isUnproven']);
    const { services, database } = this.session;
    this.tokens.arrive(database.topology.ticker, fields.flag('hasWritten'), fields.flag('hasRead'));
    services.cache.arrive(this.seen, fields.flag('isUnproven'));
    this.tokens.schema.wrote(database.topology.schema);
  }

  private noteAhead(request: Request): void {
    for (const { reads } of request.plans) {
      const underWay = reads.length === 0 ? undefined : this.session.services.cache.underWay(reads);
      if (underWay === undefined) continue;
      // An older entry for the same tables is contained in the new one, or over.
      const others = (this.ahead ?? []).filter(({ tags }) => tags !== reads);
      this.ahead = [...others.slice(1 - maxKept), underWay];
    }
  }
}

function fillCache(request: Request, isIdle: boolean): void {
  const { flight, capture } = request.cache;
  if (flight === undefined) return;
  if (capture !== undefined && !capture.overflow && isIdle && !request.attempt.hasError)
    flight.store(capture.parts, capture.bytes, request.target.node?.role === 'primary');
  else flight.abandon();
}
