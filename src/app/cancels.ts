/**
 * CancelRequests in flight to the servers of one database. A server is not reused until its CancelRequests have arrived,
 * because they would cancel a statement of the next client. Made by database.ts.
 */
import type { ServerConnection } from '../backend/server.ts';
import type { ServerLogins } from './server-logins.ts';

export class Cancels {
  readonly underWay = new Set<Promise<void>>();
  private readonly logins: ServerLogins;

  constructor(logins: ServerLogins) {
    this.logins = logins;
  }

  /** Sends a CancelRequest to the server's node; the server is not reused until it has arrived. */
  cancel(server: ServerConnection, isWanted?: () => boolean): Promise<void> {
    const arrived = this.logins.cancel(server, isWanted);
    this.underWay.add(arrived);
    void arrived.finally(() => this.underWay.delete(arrived));
    server.cancelSent(arrived);
    return arrived;
  }
}
