/**
 * A session's hold on a server: taken for a request, a transaction or as long as a pin lasts, shared in a lane, given
 * back. The second layer of a session (docs/architecture.md).
 */
import type { AnswerReceiver, ServerConnection } from '../backend/server.ts';
import type { PoolMode } from '../config/config.ts';
import type { Wire } from '../net/wire.ts';
import type { Pool } from '../pool/pool.ts';
import { TxStatus } from '../protocol/codes.ts';
import type { NodeState } from '../topology/types.ts';
import { Ring } from '../util/ring.ts';
import { AbandonedAnswers } from './abandoned-answers.ts';
import { ClientRecord } from './client-record.ts';
import { takeNotices } from './login-notices.ts';
import type { Request } from './request.ts';

export abstract class ServerHold extends ClientRecord {
  abstract readonly receiver: AnswerReceiver;
  abstract readonly wire: Wire;
  serverNode: NodeState | undefined;
  /** The pool of `server`. */
  pool: Pool | undefined;
  private lastStatus: number = TxStatus.Idle;
  readonly inFlight = new Ring<Request>();
  private rest: (() => void) | undefined;

  get user(): string {
    return this.identity.user;
  }

  get poolMode(): PoolMode {
    return this.database.settings().poolMode;
  }

  /** Transaction status as of the last ReadyForQuery. */
  get status(): number {
    return this.lastStatus;
  }

  /** ReadyForQuery for the request, which is no longer in flight. */
  readyForQuery(request: Request, status: number): void {
    this.moments.readyForQuery(request, status);
    this.lastStatus = status;
  }

  /** Its server is gone, and the open transaction with it, of which the client was told. */
  rolledBack(): void {
    this.lastStatus = TxStatus.Idle;
    this.concerns.settings.rolledBack();
  }

  /** Does the rest of the last request in flight wait for the server's word on a statement (forward-all.ts)? */
  get isPaused(): boolean {
    return this.rest !== undefined;
  }

  /** `rest` is what is still to be sent of the last request in flight. */
  pause(rest: () => void): void {
    this.rest = rest;
  }

  /** It is sent now, or never will be. False: it does not wait any more. @param rest undefined: whatever waits */
  endPause(rest = this.rest): boolean {
    if (rest === undefined || this.rest !== rest) return false;
    this.rest = undefined;
    return true;
  }

  /** The server is the session's also while it asks nothing. */
  get keepsServer(): boolean {
    if (this.server === undefined) return false;
    return this.status !== TxStatus.Idle || this.state.isPinned || this.poolMode === 'session';
  }

  /** The server cannot be given back yet, whatever else happens. */
  get mustStay(): boolean {
    if (this.server === undefined) return false;
    if (this.keepsServer) return true;
    for (let i = 0; i < this.inFlight.length; i++) if (this.inFlight.at(i)?.planned.begins === true) return true;
    return false;
  }

  attached(pool: Pool, server: ServerConnection, node: NodeState | undefined): void {
    this.pool = pool;
    this.server = server;
    this.serverNode = node;
    server.holders.add(this.receiver);
    server.wire.regulate();
    if (server.login.hasNotices) this.tellNotices(server);
  }

  /** The server was opened for this session: what it remarked is the client's, as of a log-in of its own. */
  private tellNotices(server: ServerConnection): void {
    for (const notice of takeNotices(server, this.state.settings)) this.wire.send(notice);
  }

  /** Others may send short reads to the session's server meanwhile, or not. */
  openLane(isLane: boolean): void {
    if (this.server !== undefined) this.pool?.setLane(this.server, isLane);
  }

  /** Gives the server back if nothing keeps it; in a lane, the last one does. */
  release(): void {
    const { server, pool } = this;
    if (server === undefined || pool === undefined || this.inFlight.length > 0) return;
    if (server.sharers === 1 && (!server.isQuiet || this.mustStay)) return;
    this.detach(server);
    if (server.sharers === 0) pool.checkin(server, server.sessionState.isSuspect);
    else pool.fillLane(server);
  }

  /** Gives up the server, and gives it back when it has done `sql`. */
  releaseAfter(sql: string): void {
    const { server, pool } = this;
    if (server === undefined || pool === undefined) return;
    this.forgetServer();
    server.run(sql).then(
      () => pool.checkin(server, server.sessionState.isSuspect),
      (error: Error) => server.destroy(`${sql} failed: ${error.message}`),
    );
  }

  protected detach(server: ServerConnection): void {
    this.server = undefined;
    this.serverNode = undefined;
    this.moments.serverLeft();
    server.holders.remove(this.receiver);
    // The client may still be slower than its answer was, whoever has the server next need not be; and the other way round.
    server.wire.regulate();
    this.wire.regulate();
  }

  /** Leaves a lane before its answers have come. */
  leaveLane(): void {
    const { server, pool } = this;
    if (server === undefined || pool === undefined) return;
    server.handOver(this.receiver, new AbandonedAnswers(pool, server, this.inFlight.length, this.services.nowMs));
    this.forgetServer();
  }

  /** The server is not fit for anybody any more. */
  dropServer(why: string): void {
    const { server } = this;
    this.forgetServer();
    server?.destroy(why);
  }

  /** It is gone, or about to be. */
  forgetServer(): void {
    if (this.server !== undefined) this.detach(this.server);
    this.moments.serverForgotten();
  }
}
