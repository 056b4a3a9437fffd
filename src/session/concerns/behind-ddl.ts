/**
 * Behind DDL it is not known for a moment what functions, triggers and views do to a session. A session that has used one of
 * which that matters keeps its server until the catalog has been read again; then the plans of what it ran are made anew, and
 * decide whether it goes on keeping it. Told by the database when the catalog has been read (app/database.ts).
 */
import { IN_FUNCTION, NOT_READ_YET } from '../../binding/effects.ts';
import type { Plan } from '../../binding/plan.ts';
import { TxStatus } from '../../protocol/codes.ts';
import type { QueryFacts } from '../../sql/facts.ts';
import type { PinnedBehindDdl } from '../shared-by-sessions.ts';
import type { Request } from '../request.ts';
import { SchemaProof } from '../schema-proof.ts';
import type { Concern, ConcernOwner } from './concern.ts';

/** What it has to know of its session besides. */
interface Owner extends ConcernOwner {
  readonly identity: { readonly user: string };
}

/** More different texts than these are not kept: the pin for functions takes the place of this one. */
const maxTexts = 64;

export class BehindDdl implements Concern, PinnedBehindDdl {
  private readonly session: Owner;
  /** What was run since the session is pinned so; undefined: it is not. */
  private texts: Set<QueryFacts> | undefined;
  /** That of the catalog read behind its last transaction. */
  private readonly proof = new SchemaProof();
  /** It has run something since the proof was asked for. */
  private isNew = false;

  constructor(session: Owner) {
    this.session = session;
  }

  catalogConfirmed(): void {
    if (this.confirm(this.session.status)) this.session.release();
  }

  /** True: the session is not pinned for it any more. */
  private confirm(status: number): boolean {
    const { texts, session } = this;
    const { state, services, database } = session;
    if (texts === undefined) return false;
    if (!state.pins.has(NOT_READ_YET)) {
      this.leave();
      return false;
    }
    if (this.isNew || status !== TxStatus.Idle || session.inFlight.length > 0) return false;
    const catalog = database.topology.catalog();
    if (!this.proof.isThere(database.topology.schema) || catalog === undefined) return false;
    const { role, searchPath } = state.reading;
    const user = role ?? database.serverUser(session.identity.user);
    let leavesState = texts.size > maxTexts;
    for (const facts of texts) {
      const { pins } = services.binder.bind(facts, catalog, searchPath, user).effects;
      leavesState ||= pins.includes(IN_FUNCTION);
      if (pins.includes(NOT_READ_YET)) services.binder.learnMissing(facts);
    }
    if (leavesState) state.pin(IN_FUNCTION);
    state.unpin(NOT_READ_YET);
    this.leave();
    return true;
  }

  private leave(): void {
    if (this.texts === undefined) return;
    this.texts = undefined;
    this.session.database.common.pinnedBehindDdl.delete(this);
  }

  private ran({ effects, facts }: Plan): void {
    if (!effects.pins.includes(NOT_READ_YET) || !this.session.state.pins.has(NOT_READ_YET)) return;
    if (this.texts === undefined) this.session.database.common.pinnedBehindDdl.add(this);
    (this.texts ??= new Set()).add(facts);
    this.isNew = true;
  }

  /* ---- moments: its row stands right behind that of the pins ---- */

  effectsDone(plan: Plan): void {
    this.ran(plan);
  }

  effectsInPart(plan: Plan): void {
    this.ran(plan);
  }

  readyForQuery(_request: Request, status: number): void {
    if (this.texts === undefined || status !== TxStatus.Idle || this.session.inFlight.length > 0) return;
    if (this.isNew) this.proof.wrote(this.session.database.topology.schema);
    this.isNew = false;
    // The server is given back behind this in any case (request/settle.ts).
    this.confirm(status);
  }

  closed(): void {
    this.leave();
  }
}
