/**
 * Behind DDL it is not known for a moment what functions, triggers and views do to a session. A session that has used one of
 * which that matters keeps its server until the catalog has been read again; then the plans of what it ran are made anew, and
 * decide whether it goes on keeping it. One per session that is pinned so; called by settle.ts and app/database.ts.
 */
import { TxStatus } from '../../protocol/codes.ts';
import type { QueryFacts } from '../../sql/facts.ts';
import { IN_FUNCTION, NOT_READ_YET } from '../../binding/effects.ts';
import type { Database, PinnedBehindDdl, Services } from '../context.ts';
import { SchemaProof } from '../schema-proof.ts';
import type { SessionState } from '../state.ts';

/** What it asks of a session. */
interface Session {
  readonly user: string;
  readonly state: SessionState;
  readonly database: Database;
  readonly services: Services;
  readonly status: number;
  readonly inFlight: { readonly length: number };
  behindDdl: BehindDdl | undefined;
  release(): void;
}

/** More different texts than these are not kept: the pin for functions takes the place of this one. */
const maxTexts = 64;

export class BehindDdl implements PinnedBehindDdl {
  private readonly session: Session;
  private readonly texts = new Set<QueryFacts>();
  /** That of the catalog read behind its last transaction. */
  private readonly proof = new SchemaProof();
  /** It has run something since the proof was asked for. */
  private isNew = true;

  constructor(session: Session) {
    this.session = session;
    session.database.pinnedBehindDdl.add(this);
  }

  ran(facts: QueryFacts): void {
    this.texts.add(facts);
    this.isNew = true;
  }

  /** A request was answered. */
  answered(): void {
    const { session } = this;
    if (session.status !== TxStatus.Idle || session.inFlight.length > 0) return;
    if (this.isNew) this.proof.wrote(session.database.topology.schema);
    this.isNew = false;
    this.catalogConfirmed();
  }

  catalogConfirmed(): void {
    const { session } = this;
    const { state, services, database } = session;
    if (!state.pins.has(NOT_READ_YET)) return this.leave();
    if (this.isNew || session.status !== TxStatus.Idle || session.inFlight.length > 0) return;
    const catalog = database.topology.catalog();
    if (!this.proof.isThere(database.topology.schema) || catalog === undefined) return;
    const { role, searchPath } = state.reading;
    const user = role ?? database.serverUser(session.user);
    let leavesState = this.texts.size > maxTexts;
    for (const facts of this.texts) {
      const { pins } = services.binder.bind(facts, catalog, searchPath, user).effects;
      leavesState ||= pins.includes(IN_FUNCTION);
      if (pins.includes(NOT_READ_YET)) services.binder.learnMissing(facts);
    }
    if (leavesState) state.pin(IN_FUNCTION);
    state.unpin(NOT_READ_YET);
    this.leave();
    session.release();
  }

  /** The client is gone, or what it was pinned for is. */
  leave(): void {
    this.session.database.pinnedBehindDdl.delete(this);
    this.session.behindDdl = undefined;
  }
}
