/**
 * What pools need of a budget: places for server connections, counted in this process (budget.ts) or leased from the
 * supervisor of several processes (workers/leased-budget.ts). Types only.
 */
import type { ServerConnection } from '../backend/server.ts';
import type { ResizeRecord } from './types.ts';

export interface PoolName {
  readonly database: string;
  readonly user: string;
  readonly node: string;
}

/** Which limit is reached: that of the pool (in all processes together), of the database or the user on the server, or of the server. */
export type Shortage = 'pool' | 'database' | 'user' | 'node';

/** A pool, as its budget sees it. */
export interface BudgetMember extends PoolName {
  /** The limit and the minimum of the pool, in all processes together. */
  readonly limit: number;
  readonly min: number;
  /** The last change of the limit. */
  readonly lastResize: ResizeRecord | undefined;
  /** Connections that clients use, or that are being made ready for the next one. */
  readonly inUse: number;
  /** The most that were in use at the same time since the last call. */
  takePeakInUse(): number;
  /** Clients that wait for a connection, unless the pool opens none at the moment (PAUSE, server_login_retry). */
  readonly waiting: number;
  /** How many connections it would open now for clients, and for its minimum, if it got the places. */
  readonly wanted: number;
  readonly wantedForMin: number;
  /** Closes an idle connection for another pool. False: there is none that the pool can do without. */
  yieldIdle(): boolean;
  /** For how long its clients have waited while it has no connection and none is being opened; 0: not so. */
  readonly starvedMs: number;
  /** The next connection that comes back, or one that is idle, is closed for a pool that has none. False: it has none either. */
  yieldNext(): boolean;
  /** That is not needed any more. */
  keepNext(): void;
  /** Closes an idle connection that other processes need more, even one of the minimum. False: there is none. */
  closeIdle(): boolean;
  /** A place may be free that tryTake() has refused. */
  retry(): void;
  /** Of the minimum of the pool, this process keeps as many connections open. */
  keepAtLeast(count: number): void;
  /** Connections above this number are closed when they come back, although clients wait. Infinity: none. */
  keepAtMost(count: number): void;
}

/** The connection for which a place is used. */
export type PlaceUser = Pick<ServerConnection, 'id' | 'processId' | 'wire'>;

/** The places for one database on one server. */
export interface Budget {
  /** Infinity until it is known. */
  limit: number;
  /** Places that this process has. */
  readonly used: number;
  /** max_user_connections: for the pools of that user in all databases on the server. Infinity: no limit. */
  limitUser(user: string, limit: number): void;
  /** Why tryTake() has no place for the pool; undefined: it has one, or that is not known. */
  shortage(pool: PoolName): Shortage | undefined;
  join(member: BudgetMember): void;
  leave(member: BudgetMember): void;
  /** The limit or the minimum of the pool has changed. */
  resized(member: BudgetMember): void;
  /** Takes a place for one connection. False: there is none; retry() may tell when there is. */
  tryTake(forWhom: BudgetMember): boolean;
  /** The log-in for a place is complete. */
  opened(member: BudgetMember, server: PlaceUser): void;
  /** The connection is closed, or, without one, its log-in has failed: the place is not needed any more. */
  give(member: BudgetMember, server?: PlaceUser): void;
  /**
   * The connection was closed, and its place is kept for another log-in.
   * @returns undefined: that may begin at once. False: the place is lost
   */
  vacated(member: BudgetMember, server: PlaceUser): Promise<boolean> | undefined;
  /**
   * Takes a place for a connection outside of the pools (replication). Undefined: a limit is reached.
   * @param limit max_user_connections of the user; Infinity: none
   */
  reserve(node: string, user: string, limit: number): Promise<Reserved | undefined>;
}

export interface Reserved {
  /** The log-in is complete. */
  opened(processId: number): void;
  /**
   * The connection is closed, or its log-in has failed.
   * @param isGone the server has closed its end, so that the backend has ended
   */
  release(isGone: boolean): void;
}

/** Makes the budgets, which count in this process or for several. */
export interface Budgets {
  /** What the server can spare for all databases (set it when it is known), and the places that this process has there. */
  ofServer(address: ServerAddress): { limit: number; readonly used: number };
  /** Called once per database and server. */
  ofDatabase(address: ServerAddress, database: string): Budget;
}

export interface ServerAddress {
  readonly host: string;
  readonly port: number;
}
