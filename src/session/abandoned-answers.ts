/**
 * Receives and drops the remaining answers to a client that has left a shared server connection (pool/lanes.ts). The
 * last user of the connection gives it back to the pool.
 */
import type { AnswerReceiver, ServerConnection } from '../backend/server.ts';
import type { Pool } from '../pool/pool.ts';

export class AbandonedAnswers implements AnswerReceiver {
  private readonly pool: Pool;
  private readonly server: ServerConnection;
  private readonly nowMs: () => number;
  private owed: number;

  /** @param owed number of ReadyForQuery messages still to come for the client */
  constructor(pool: Pool, server: ServerConnection, owed: number, nowMs: () => number) {
    this.pool = pool;
    this.server = server;
    this.owed = owed;
    this.nowMs = nowMs;
  }

  ready(): void {
    const { pool, server } = this;
    server.lastReadyAtMs = this.nowMs();
    if (--this.owed > 0) return;
    server.holders.remove(this);
    if (server.sharers === 0) pool.checkin(server, server.sessionState.isSuspect);
    else pool.fillLane(server);
  }

  relay(): void {
    return undefined;
  }

  completed(): void {
    return undefined;
  }

  errored(): void {
    return undefined;
  }

  noticed(): void {
    return undefined;
  }

  parameterChanged(): void {
    return undefined;
  }

  lost(): void {
    return undefined;
  }

  heldUp(): void {
    return undefined;
  }

  drained(): void {
    return undefined;
  }
}
