/**
 * currval() and lastval() answer for the session that has advanced a sequence. Nearly no session asks, so none is pinned
 * for it until it does by name: then it keeps the server on which it next advances one. Before, it goes to where it has
 * last advanced one, if nothing else is known there; no server answers with what another session, or this one long ago,
 * has left. In a database in which somebody has asked, a server forgets what it knew before a session advances one there.
 */
import type { ServerConnection } from '../../backend/server.ts';
import type { Pool } from '../../pool/pool.ts';
import { TxStatus } from '../../protocol/codes.ts';
import type { Request } from '../request.ts';
import type { Concern, ConcernOwner } from './concern.ts';

export class Sequences implements Concern {
  private readonly session: ConcernOwner;
  /** The session has called currval() or lastval(). */
  private asks = false;
  /** It may have advanced a sequence in the open transaction. */
  private hasAdvanced = false;
  /** Where it has last advanced one. */
  private lastServer: ServerConnection | undefined;
  /** The server is being told to forget what it knows (DISCARD SEQUENCES). */
  private isForgetting = false;

  constructor(session: ConcernOwner) {
    this.session = session;
  }

  /** The server that can answer `request`, if it is idle. */
  takeServer(request: Request, pool: Pool): ServerConnection | undefined {
    const server = this.ownServer(request);
    return server === undefined ? undefined : pool.tryTake(server);
  }

  /** Ends when that server has been reset behind the request that has advanced the sequence; undefined: it is not being reset. */
  resetOf(request: Request): Promise<unknown> | undefined {
    return this.ownServer(request)?.reset;
  }

  /** The server that can answer `request`. */
  private ownServer(request: Request): ServerConnection | undefined {
    const { lastServer } = this;
    return request.planned.asksSequences && lastServer !== undefined && this.isLatest(lastServer)
      ? lastServer
      : undefined;
  }

  /** All that the server knows was advanced by the session, and nothing elsewhere since. */
  private isLatest(server: ServerConnection): boolean {
    return server.sessionState.sequencesOf === this && this.lastServer === server;
  }

  /** Must the server forget what it knows before `request`, which asks for the session's own values or brings them? */
  private isForeign(server: ServerConnection, request: Request): boolean {
    if (server.sessionState.sequencesOf === undefined || this.isLatest(server)) return false;
    // What the open transaction has advanced must not be lost.
    if (this.hasAdvanced) return false;
    if (request.planned.asksSequences) return true;
    return request.planned.mayAdvanceSequences && (this.asks || this.session.database.common.hasAskedSequences);
  }

  /* ---- moments ---- */

  isReady(server: ServerConnection, request: Request): boolean {
    return !this.isForeign(server, request);
  }

  prepareServer(server: ServerConnection, request: Request): string | undefined {
    this.isForgetting = this.isForeign(server, request) && this.session.status !== TxStatus.Failed;
    return this.isForgetting ? 'DISCARD SEQUENCES' : undefined;
  }

  serverPrepared(server: ServerConnection): void {
    if (this.isForgetting) server.sessionState.sequencesOf = undefined;
  }

  /** With or without an error: no rollback gives a value back. */
  readyForQuery(request: Request, status: number): void {
    if (request.planned.asksByName) this.asks = true;
    if (request.planned.asksSequences && isSureToAsk(request)) this.session.database.common.hasAskedSequences = true;
    if (request.planned.mayAdvanceSequences) this.advanced();
    if (status === TxStatus.Idle) this.hasAdvanced = false;
  }

  private advanced(): void {
    const { server, poolMode, state } = this.session;
    if (server === undefined) return;
    const isAlone = server.sessionState.sequencesOf === undefined || this.isLatest(server);
    // Of several sessions, or old and new ones of the same.
    server.sessionState.sequencesOf = isAlone ? this : 'several';
    this.lastServer = server;
    this.hasAdvanced = true;
    if (this.asks && poolMode === 'transaction') state.pin('sequence');
  }

  serverLeft(): void {
    this.hasAdvanced = false;
  }

  /** Nobody will ask for what the session has advanced. */
  clientLeft(server: ServerConnection): void {
    if (server.sessionState.sequencesOf === this) server.sessionState.sequencesOf = undefined;
  }
}

/** Behind DDL it is not known what asks. */
function isSureToAsk(request: Request): boolean {
  return request.planned.asksByName || request.plans.some((plan) => plan.asksSequences && plan.catalog !== undefined);
}
