/**
 * Cancels that are on their way to the servers of one database. A server is kept back until its own have arrived. Made by
 * database.ts.
 */
import type { ServerConnection } from '../backend/server.ts';
import type { ServerLogins } from './server-logins.ts';

export class Cancels {
  readonly underWay = new Set<Promise<void>>();
  private readonly logins: ServerLogins;

  constructor(logins: ServerLogins) {
    this.logins = logins;
  }

  /** CancelRequest to the server's node; the server is kept back until it has arrived. */
  cancel(server: ServerConnection, isWanted?: () => boolean): Promise<void> {
    const arrived = this.logins.cancel(server, isWanted);
    this.underWay.add(arrived);
    void arrived.finally(() => this.underWay.delete(arrived));
    server.cancelSent(arrived);
    return arrived;
  }
}
