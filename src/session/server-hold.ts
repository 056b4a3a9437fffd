/**
 * The server connection of a session: taken for a request, a transaction or the duration of a pin, shared in a lane,
 * given back. The second layer of a session (docs/architecture.md).
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
  /** When the request that has begun the transaction came (monotonic ms); of one that is open. */
  transactionSinceMs = 0;
  /** When its first statement was sent to the server. */
  private transactionSentAtMs = 0;
  readonly inFlight = new Ring<Request>();
  private rest: (() => void) | undefined;

  get user(): string {
    return this.identity.user;
  }

  get poolMode(): PoolMode {
    return this.database.settings(this.identity.user).poolMode;
  }

  /** Transaction status as of the last ReadyForQuery. */
  get status(): number {
    return this.lastStatus;
  }

  /** ReadyForQuery has come for the request, which is no longer in `inFlight`. */
  readyForQuery(request: Request, status: number): void {
    this.moments.readyForQuery(request, status);
    if (this.lastStatus === TxStatus.Idle) {
      this.transactionSinceMs = request.receivedAtMs;
      this.transactionSentAtMs = request.attempt.sentAtMs;
    }
    this.lastStatus = status;
  }

  /** How long the transaction that has ended was on the server; the next one of the same request begins now. */
  takeTransactionMs(nowMs: number): number {
    const sinceMs = this.transactionSentAtMs;
    this.transactionSentAtMs = nowMs;
    return nowMs - sinceMs;
  }

  /** The server was lost with the open transaction, and the client has been told. */
  rolledBack(): void {
    this.lastStatus = TxStatus.Idle;
    this.concerns.settings.rolledBack();
  }

  /** The rest of the last request in flight waits for the server's answer to a statement (forward-all.ts). */
  get isPaused(): boolean {
    return this.rest !== undefined;
  }

  /** @param rest sends what is left of the last request in flight */
  pause(rest: () => void): void {
    this.rest = rest;
  }

  /**
   * The rest is being sent now, or is dropped. @param rest undefined: whatever waits. @returns false: it no longer
   * waits
   */
  endPause(rest = this.rest): boolean {
    if (rest === undefined || this.rest !== rest) return false;
    this.rest = undefined;
    return true;
  }

  /** The session keeps its server while it is idle. */
  get keepsServer(): boolean {
    if (this.server === undefined) return false;
    return this.status !== TxStatus.Idle || this.state.isPinned || this.poolMode === 'session';
  }

  /** The server cannot be given back yet, even when its answers have come. */
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

  /** The server was opened for this session, so the client gets the notices of its log-in. */
  private tellNotices(server: ServerConnection): void {
    for (const notice of takeNotices(server, this.state.settings)) this.wire.send(notice);
  }

  /** Allows or forbids other sessions to send short reads to this server. */
  openLane(isLane: boolean): void {
    if (this.server !== undefined) this.pool?.setLane(this.server, isLane);
  }

  /** What was said to the client in this turn, and what follows, is sent when that has resolved. */
  holdAnswers(until: Promise<void> | undefined): void {
    if (until !== undefined) this.wire.holdUntil(until);
  }

  /** Gives the server back if nothing keeps it. In a lane, the last session does. */
  release(): void {
    const { server, pool } = this;
    if (server === undefined || pool === undefined || this.inFlight.length > 0) return;
    if (server.sharers === 1 && (!server.isQuiet || this.mustStay)) return pool.statementEnded();
    this.detach(server);
    if (server.sharers === 0) pool.checkin(server, server.sessionState.isSuspect);
    else pool.fillLane(server);
  }

  /** Detaches from the server; it goes back to the pool after it has run `sql`. */
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
    // The next user of the server may be faster than this client, and this client's next server faster than this one:
    // ask again who may be read.
    server.wire.regulate();
    this.wire.regulate();
  }

  /** Leaves a lane before the answers have come. */
  leaveLane(): void {
    const { server, pool } = this;
    if (server === undefined || pool === undefined) return;
    server.handOver(this.receiver, new AbandonedAnswers(pool, server, this.inFlight.length, this.services.nowMs));
    this.forgetServer();
  }

  /** The server cannot be used any more: closes it. */
  dropServer(why: string): void {
    const { server } = this;
    this.forgetServer();
    server?.destroy(why);
  }

  /** Detaches from a server that is gone or about to be. */
  forgetServer(): void {
    if (this.server !== undefined) this.detach(this.server);
    this.moments.serverForgotten();
  }
}
