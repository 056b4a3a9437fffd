/**
 * After DDL, until the catalog has been read again, Weir does not know what functions, triggers and views do to
 * session state. A session that uses one in this time keeps its server. When the catalog has been read, the statements
 * it ran are planned again, and the new plans decide whether the session stays pinned. app/database.ts calls
 * catalogConfirmed(), through shared-by-sessions.ts.
 */
import { IN_FUNCTION, NOT_READ_YET } from '../../binding/effects.ts';
import type { Plan } from '../../binding/plan.ts';
import { TxStatus } from '../../protocol/codes.ts';
import type { QueryFacts } from '../../sql/facts.ts';
import type { PinnedAfterDdl } from '../shared-by-sessions.ts';
import type { Request } from '../request.ts';
import { SchemaProof } from '../schema-proof.ts';
import type { Concern, ConcernOwner } from './concern.ts';

/** What it needs of its session in addition. */
interface Owner extends ConcernOwner {
  readonly identity: { readonly user: string };
}

/** If it ran more distinct texts than this, the pin for functions replaces this pin once the catalog has been read. */
const maxTexts = 64;

/** What has happened since the pin began. */
class SincePinned {
  /** The statements that the session has run. */
  readonly texts = new Set<QueryFacts>();
  /** Whether the catalog was compared after the session last ran such a statement. */
  readonly proof = new SchemaProof();
  /** The session has run such a statement since the proof was requested. */
  isNew = false;
}

export class AfterDdl implements Concern, PinnedAfterDdl {
  private readonly session: Owner;
  /** undefined: the session is not pinned for this reason. */
  private since: SincePinned | undefined;

  constructor(session: Owner) {
    this.session = session;
  }

  catalogConfirmed(): void {
    if (this.confirm(this.session.status)) this.session.release();
  }

  /** Ends the pin if the catalog is known again. @returns true if this call ended it */
  private confirm(status: number): boolean {
    const { since, session } = this;
    const { state, services, database } = session;
    if (since === undefined) return false;
    if (!state.pins.has(NOT_READ_YET)) {
      this.leave();
      return false;
    }
    if (since.isNew || status !== TxStatus.Idle || session.inFlight.length > 0) return false;
    const catalog = database.topology.catalog();
    if (!since.proof.isThere(database.topology.schema) || catalog === undefined) return false;
    const { role, searchPath } = state.reading;
    const user = role ?? database.serverUser(session.identity.user);
    let leavesState = since.texts.size > maxTexts;
    for (const facts of since.texts) {
      const { pins } = services.binder.bind(facts, catalog, searchPath, user).effects;
      leavesState ||= pins.includes(IN_FUNCTION);
      if (pins.includes(NOT_READ_YET)) services.binder.learnUnknown(facts);
    }
    if (leavesState) state.pin(IN_FUNCTION);
    state.unpin(NOT_READ_YET);
    this.leave();
    return true;
  }

  private leave(): void {
    if (this.since === undefined) return;
    this.since = undefined;
    this.session.database.common.pinnedAfterDdl.delete(this);
  }

  private ran({ effects, facts }: Plan): void {
    if (!effects.pins.includes(NOT_READ_YET) || !this.session.state.pins.has(NOT_READ_YET)) return;
    if (this.since === undefined) this.session.database.common.pinnedAfterDdl.add(this);
    const since = (this.since ??= new SincePinned());
    if (since.texts.size <= maxTexts) since.texts.add(facts);
    since.isNew = true;
  }

  /* ---- moments: in the table it comes after the pins ---- */

  effectsDone(plan: Plan): void {
    this.ran(plan);
  }

  effectsInPart(plan: Plan): void {
    this.ran(plan);
  }

  readyForQuery(_request: Request, status: number): void {
    const { since } = this;
    if (since === undefined || status !== TxStatus.Idle || this.session.inFlight.length > 0) return;
    if (since.isNew) since.proof.wrote(this.session.database.topology.schema);
    since.isNew = false;
    // The caller gives the server back after this in any case (request/settle.ts).
    this.confirm(status);
  }

  closed(): void {
    this.leave();
  }
}
