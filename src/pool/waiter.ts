/** What the queue of a pool knows of a client that waits in it. Types, and the names of the priorities. */
import type { ServerConnection } from '../backend/server.ts';
import type { WeirError } from '../errors/errors.ts';

/** The first is served first. */
export const priorities = ['high', 'normal', 'low'] as const;
export type Priority = (typeof priorities)[number];

/** A client that wants a server. Either granted() or refused() is called, once, unless its queue entry was cancelled. */
export interface Waiter {
  /** Users who wait at the same time get equal shares of the servers' time. */
  readonly user: string;
  readonly priority: Priority;
  /** It is a read that another node could run as well. */
  readonly mayGoElsewhere: boolean;
  /** May it share this server with other clients (lanes.ts)? */
  mayShare(server: ServerConnection): boolean;
  /** It has waited for query_wait_notify. */
  queued?(): void;
  granted(server: ServerConnection): void;
  /** `isElsewhere`: nothing is wrong with the request, which should be routed again. */
  refused(error: WeirError, isElsewhere: boolean): void;
}
