/**
 * currval() and lastval() return what this session has obtained from a sequence. Few sessions call them, so a session
 * is pinned for it only after it has called them by name: then it keeps the server on which it next advances a
 * sequence. Otherwise such a request goes to the server where the session last advanced one, if no other session has
 * done so there since. Once any session of the database has called them, a server runs DISCARD SEQUENCES before
 * another session advances a sequence there.
 */
import type { ServerConnection } from '../../backend/server.ts';
import type { Pool } from '../../pool/pool.ts';
import { TxStatus } from '../../protocol/codes.ts';
import { Fields } from '../../util/fields.ts';
import type { Request } from '../request.ts';
import type { Concern, ConcernOwner } from './concern.ts';

export class Sequences implements Concern {
  private readonly session: ConcernOwner;
  /** The session has called currval() or lastval(). */
  private asks = false;
  /** The open transaction may have advanced a sequence. */
  private hasAdvanced = false;
  /** The server on which the session last advanced a sequence. */
  private lastServer: ServerConnection | undefined;
  /** DISCARD SEQUENCES is being run on the server. */
  private isForgetting = false;

  constructor(session: ConcernOwner) {
    this.session = session;
  }

  /** Takes the server that can answer `request` from the pool, if it is idle. */
  takeServer(request: Request, pool: Pool): ServerConnection | undefined {
    const server = this.ownServer(request);
    return server === undefined ? undefined : pool.tryTake(server);
  }

  /**
   * @returns settles when the reset of that server, after the request that advanced the sequence, has ended;
   * undefined: it is not being reset
   */
  resetOf(request: Request): Promise<unknown> | undefined {
    return this.ownServer(request)?.reset;
  }

  /** The server that has the sequence values that `request` asks for. */
  private ownServer(request: Request): ServerConnection | undefined {
    const { lastServer } = this;
    return request.planned.asksSequences && lastServer !== undefined && this.isLatest(lastServer)
      ? lastServer
      : undefined;
  }

  /** All sequence values on the server are this session's, and it has advanced none elsewhere since. */
  private isLatest(server: ServerConnection): boolean {
    return server.sessionState.sequencesOf === this && this.lastServer === server;
  }

  /** Whether DISCARD SEQUENCES must run before `request`, which reads or advances sequences. */
  private isForeign(server: ServerConnection, request: Request): boolean {
    if (server.sessionState.sequencesOf === undefined || this.isLatest(server)) return false;
    // Values that the open transaction has obtained must not be lost.
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

  /** Also after an error: a rollback does not undo nextval(). */
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
    // 'several': values of several sessions, or older and newer ones of this session.
    server.sessionState.sequencesOf = isAlone ? this : 'several';
    this.lastServer = server;
    this.hasAdvanced = true;
    if (this.asks && poolMode === 'transaction') state.pin('sequence');
  }

  serverLeft(): void {
    this.hasAdvanced = false;
  }

  /** The values stay with a server of this process. A client asks for them at once, if ever. */
  holdsUp(isLate: boolean): string | undefined {
    const { lastServer } = this;
    if (isLate || lastServer?.isAlive !== true || !this.isLatest(lastServer)) return undefined;
    return 'it may ask for the sequence values that it has just obtained';
  }

  pack(): { readonly asks: true } | undefined {
    return this.asks ? { asks: true } : undefined;
  }

  unpack(packed: unknown): void {
    this.asks = new Fields('the sequences', packed, ['asks']).flag('asks');
    if (this.asks) this.session.database.common.hasAskedSequences = true;
  }

  /** The session ends: no request will ask for its values. */
  clientLeft(server: ServerConnection): void {
    if (server.sessionState.sequencesOf === this) server.sessionState.sequencesOf = undefined;
  }
}

/** After DDL, before the catalog was read, it is not known which statements call currval() or lastval(). */
function isSureToAsk(request: Request): boolean {
  return request.planned.asksByName || request.plans.some((plan) => plan.asksSequences && plan.catalog !== undefined);
}
