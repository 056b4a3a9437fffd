/**
 * What a session is given: the services of the process, and the database it is for. The app satisfies both. Types only.
 */
import type { ServerConnection } from '../backend/server.ts';
import type { ResultCache } from '../cache/types.ts';
import type { PoolSettings, RoutingSettings } from '../config/config.ts';
import type { TurnWriter } from '../net/turn.ts';
import type { Log } from '../observability/types.ts';
import type { Pool } from '../pool/pool.ts';
import type { LatencyBaselines } from '../routing/latency.ts';
import type { Binder } from '../binding/plan.ts';
import type { SharedBySessions } from './shared-by-sessions.ts';
import type { Classified, Classifier } from '../sql/facts.ts';
import type { NodeState, Topology } from '../topology/types.ts';
import type { StatementBook } from './statements.ts';
import type { DatabaseStats } from './types.ts';

/** One per process. */
export interface Services {
  readonly turn: TurnWriter;
  readonly classifier: Classifier;
  readonly binder: Binder;
  readonly cache: ResultCache;
  readonly book: StatementBook;
  readonly baselines: LatencyBaselines;
  /** What a FunctionCall may do: anything. */
  readonly functionCall: Classified;
  /** What a statement may do that SQL has prepared: as much as EXECUTE. */
  readonly sqlPrepared: Classified;
  readonly nowMs: () => number;
  readonly random: () => number;
  routing(): RoutingSettings;
  maxEntrySizeBytes(): number;
  /** A bug: counted and logged, the connection is closed. */
  unexpected(error: Error): void;
  readonly log: Log;
}

/** Somebody who waits until some node can take a request. */
export interface Parked {
  /** Ask again: something changed. */
  retry(): void;
  /** It took too long. */
  expired(): void;
  readonly deadlineMs: number;
}

/** One per database that clients use. */
export interface Database {
  readonly name: string;
  readonly topology: Topology;
  readonly stats: DatabaseStats;
  readonly common: SharedBySessions;
  settings(): PoolSettings;
  /** Whom a client's servers are logged in as. */
  serverUser(user: string): string;
  /** The pool of that node for a client's user. */
  pool(node: NodeState, user: string): Pool;
  /** Sends a CancelRequest to where `server` is connected; resolves when PostgreSQL has taken it. */
  cancel(server: ServerConnection, isWanted?: () => boolean): Promise<void>;
  /** A read that had fallen back to the primary left it: somebody else may come. */
  roomLeft(): void;
  /** Waits for a change of the topology; returns how to leave. */
  park(parked: Parked): () => void;
  /** ALTER ROLE or ALTER DATABASE was committed: nobody is welcomed before it is known what it means for new sessions. */
  defaultsChanged(): void;
  /** Resolves when that is known, soon in any case. */
  defaultsKnown(): Promise<void>;
  /** Prefix of the cache tags; undefined as long as the catalog was never read. */
  tagPrefix(): string | undefined;
}
