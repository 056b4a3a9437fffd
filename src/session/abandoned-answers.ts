/**
 * Receives and drops the answers to a client that has left a shared server connection (pool/lanes.ts) before they came. When
 * nobody else uses the connection any more, it goes back to the pool.
 */
import type { AnswerReceiver, ServerConnection } from '../backend/server.ts';
import type { Pool } from '../pool/pool.ts';

export class AbandonedAnswers implements AnswerReceiver {
  private readonly pool: Pool;
  private readonly server: ServerConnection;
  private readonly nowMs: () => number;
  private owed: number;

  /** @param owed how many ReadyForQuery are still to come for it */
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
