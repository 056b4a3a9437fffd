/**
 * What a session has read, so that it is never shown anything older: the tokens for its next server (tokens.ts), what the cache
 * may answer with, and the writes that a replica may have shown before the primary does (request/await-visible.ts). What it
 * has read also fills the cache.
 */
import type { SessionFreshness, UnderWay } from '../../cache/types.ts';
import { TxStatus } from '../../protocol/codes.ts';
import type { Unit } from '../unit.ts';
import type { Concern, ConcernOwner } from './concern.ts';
import { SessionTokens } from './tokens.ts';

const maxKept = 8;

export class Freshness implements Concern {
  private readonly session: ConcernOwner;
  readonly tokens = new SessionTokens();
  /** The cache must not answer with anything older. */
  readonly seen: SessionFreshness;
  /** Writes that a replica may have shown before the primary does. */
  private ahead: UnderWay[] | undefined;

  constructor(session: ConcernOwner) {
    this.session = session;
    this.seen = session.services.cache.newFreshness();
  }

  /** May the session have seen more than the primary shows? */
  get isAhead(): boolean {
    return this.ahead !== undefined;
  }

  /** What the unit reads, and may have seen more of already than the primary shows. */
  toAwait(unit: Unit): UnderWay | undefined {
    if (this.ahead === undefined || this.session.serverNode?.role === 'replica') return undefined;
    this.ahead = this.ahead.filter((one) => !one.isOver());
    if (this.ahead.length === 0) this.ahead = undefined;
    const reads = (one: UnderWay): boolean =>
      unit.plans.some((plan) => plan.reads.some((tag) => one.tags.includes(tag)));
    return this.ahead?.find(reads);
  }

  /** It waits for none of them again. */
  waitedEnough(): void {
    this.ahead = undefined;
  }

  /* ---- moments ---- */

  readyForQuery(unit: Unit, status: number): void {
    const isIdle = status === TxStatus.Idle;
    const { ticker } = this.session.database.topology;
    const { node } = unit.target;
    if (node !== undefined && (isIdle || unit.attempt.hasCommitted)) {
      if (unit.planned.isRead && this.session.status === TxStatus.Idle) this.tokens.read(ticker, node.name);
      else this.tokens.wrote(ticker, node.name);
    }
    fillCache(unit, isIdle);
    if (node?.role === 'replica') this.noteAhead(unit);
    const { cache } = this.session.services;
    if (!cache.isEnabled) return;
    for (const plan of unit.plans) if (plan.reads.length > 0) cache.noteRead(plan.reads, this.seen);
  }

  private noteAhead(unit: Unit): void {
    for (const { reads } of unit.plans) {
      const underWay = reads.length === 0 ? undefined : this.session.services.cache.underWay(reads);
      if (underWay === undefined) continue;
      // What was known of the same tables is part of it, or over.
      const others = (this.ahead ?? []).filter(({ tags }) => tags !== reads);
      this.ahead = [...others.slice(1 - maxKept), underWay];
    }
  }
}

function fillCache(unit: Unit, isIdle: boolean): void {
  const { flight, capture } = unit.cache;
  if (flight === undefined) return;
  if (capture !== undefined && !capture.overflow && isIdle && !unit.attempt.hasError)
    flight.store(capture.parts, capture.bytes, unit.target.node?.role === 'primary');
  else flight.abandon();
}
