/**
 * What a worker and the supervisor say to each other about places for server connections (leased-places.ts, lessor.ts). Types
 * only.
 */
import type { LeaseDecision, LeaseLoad, LeasedPool, LeaseSize, SaidSize } from '../sizing/lease-types.ts';

export interface LeaseTopicsOfWorker {
  /** The worker uses a pool, or does not any more. */
  readonly leaseJoin: {
    readonly body: { readonly pool: LeasedPool; readonly size: LeaseSize };
    readonly reply: undefined;
  };
  readonly leaseLeave: { readonly body: LeasedPool; readonly reply: undefined };
  /** RESIZE or a reload has changed the size of a pool, in all workers. */
  readonly leaseSize: { readonly body: SaidSize; readonly reply: undefined };
  /** What the server (host:port) can spare, or with `database` max_db_connections, with `user` max_user_connections. */
  readonly leaseLimit: {
    readonly body: {
      readonly server: string;
      readonly database: string | undefined;
      readonly user?: string;
      readonly limit: number;
    };
    readonly reply: undefined;
  };
  readonly leaseLoads: { readonly body: LeaseLoads; readonly reply: undefined };
  /** The log-in for a place is complete. `place` is a number of the worker's own. */
  readonly leaseOpened: {
    readonly body: { readonly pool: LeasedPool; readonly place: number; readonly processId: number };
    readonly reply: undefined;
  };
  /** The connection is gone, and its place is used for another log-in. */
  readonly leaseVacated: {
    readonly body: { readonly pool: LeasedPool; readonly place: number };
    readonly reply: undefined;
  };
  /** A place comes back. */
  readonly leaseReturned: { readonly body: LeaseReturn; readonly reply: undefined };
}

export interface LeaseTopicsOfSupervisor {
  readonly leases: { readonly body: readonly LeaseDecision[]; readonly reply: undefined };
}

export interface LeaseLoads {
  /** Grants that the worker has received. */
  readonly heard: number;
  readonly loads: readonly { readonly pool: LeasedPool; readonly load: LeaseLoad }[];
}

export interface LeaseReturn {
  readonly pool: LeasedPool;
  /** Undefined: no connection was opened. */
  readonly place: number | undefined;
  /** The server has closed the connection, so its backend has ended. False: it may still run. */
  readonly isGone: boolean;
}
