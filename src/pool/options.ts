/**
 * What a pool is made of: its name, its settings, and how it opens a connection. Given by app/database-pools.ts. Types only.
 */
import type { ServerConnection } from '../backend/server.ts';
import type { PoolSettings } from '../config/config.ts';
import type { WeirError } from '../errors.ts';
import type { NodeBudget } from './budget.ts';
import type { PoolStats } from './types.ts';

/** What a failed log-in means for those who wait. */
export interface ConnectProblem {
  readonly message: string;
  /** Everybody would fail the same way: wrong password, no such database. Waiters are told this, in the server's words. */
  readonly refusal: WeirError | undefined;
  /** 53300: the server has no room. */
  readonly isServerFull: boolean;
  /** As the server said it, for a client's ErrorResponse; undefined: it said nothing. */
  readonly sqlstate: string | undefined;
}

export interface PoolOptions {
  readonly database: string;
  readonly user: string;
  readonly node: string;
  readonly settings: PoolSettings;
  readonly budget: NodeBudget;
  readonly nowMs: () => number;
  readonly random: () => number;
  /** Opens one connection; rejects with a ConnectProblem. `onClosed` tells of its end, whenever that is. */
  readonly connect: (onClosed: (server: ServerConnection) => void) => Promise<ServerConnection>;
  /** The pool has another limit now; `lastResize` says why. */
  readonly onResize: (stats: PoolStats) => void;
}
