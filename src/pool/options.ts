/**
 * What a pool is made of: its name, its settings, and how it opens a connection. Given by app/database-pools.ts. Types only.
 */
import type { ServerConnection } from '../backend/server.ts';
import type { PoolSettings } from '../config/config.ts';
import type { WeirError } from '../errors/errors.ts';
import type { Budget } from './budget-types.ts';
import type { PoolStats } from './types.ts';

/** Why a log-in failed, and what that means for clients that wait. */
export interface ConnectProblem {
  readonly message: string;
  /** Set if every log-in would fail the same way (wrong password, no such database): the error for the clients that wait. */
  readonly refusal: WeirError | undefined;
  /** 53300: the server has no room. */
  readonly isServerFull: boolean;
  /** The one in the server's ErrorResponse; undefined: there was none. */
  readonly sqlstate: string | undefined;
}

export interface PoolOptions {
  readonly database: string;
  readonly user: string;
  readonly node: string;
  readonly settings: PoolSettings;
  readonly budget: Budget;
  readonly nowMs: () => number;
  readonly random: () => number;
  /** Opens one connection; rejects with a ConnectProblem. `onClosed` tells of its end, whenever that is. */
  readonly connect: (onClosed: (server: ServerConnection) => void) => Promise<ServerConnection>;
  /** A connection did not answer server_check_query as it should, and is closed; absent: nobody wants to know. */
  readonly onCheckFailed?: (server: ServerConnection, why: string) => void;
  /** Done on a connection that was reset, before the next client gets it; absent: nothing. Never rejects. */
  readonly afterReset?: (server: ServerConnection) => Promise<void>;
  /** The limit of the pool has changed; `lastResize` says why. */
  readonly onResize: (stats: PoolStats) => void;
  /** Why clients of low priority do not wait at present; undefined: they do. */
  readonly lowDoesNotWait?: () => string | undefined;
  /** An overload of the pool has begun or ended. */
  readonly onOverload: (stats: PoolStats) => void;
}
