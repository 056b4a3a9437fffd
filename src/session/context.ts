/**
 * What a session gets from the app: the services of the process, and its database. Types only.
 */
import type { ServerConnection } from '../backend/server.ts';
import type { ResultCache } from '../cache/types.ts';
import type { PoolSettings, RoutingSettings } from '../config/config.ts';
import type { LimitsInForce } from '../limits/types.ts';
import type { TurnWriter } from '../net/turn.ts';
import type { WeirError } from '../errors/errors.ts';
import type { Log } from '../observability/types.ts';
import type { Pool } from '../pool/pool.ts';
import type { Priority } from '../pool/waiter.ts';
import type { LatencyBaselines } from '../routing/latency.ts';
import type { Binder } from '../binding/plan.ts';
import type { SharedBySessions } from './shared-by-sessions.ts';
import type { Classified, Classifier, UnreadClassifier } from '../sql/facts.ts';
import type { StatementsInForce } from '../statements/types.ts';
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
  readonly limits: LimitsInForce;
  readonly statements: StatementsInForce;
  /** Classification of a FunctionCall: it may do anything. */
  readonly functionCall: Classified;
  /** Classification of texts that cannot be read. */
  readonly unread: UnreadClassifier;
  /** Classification of a statement prepared with SQL PREPARE: like EXECUTE. */
  readonly sqlPrepared: Classified;
  readonly nowMs: () => number;
  readonly random: () => number;
  routing(): RoutingSettings;
  /** What is done because a budget burns (budgets/actions.ts); undefined: it is not done. */
  readonly budgetActions: { why(action: 'prefer_cache' | 'shed_low_priority', database: string): string | undefined };
  /** What the configuration says of the user. */
  priorityOf(user: string): Priority;
  maxEntrySizeBytes(): number;
  /** Reports a bug: it is counted and logged, and the connection is closed. */
  unexpected(error: Error): void;
  /** Weir is about to end the session of this client; absent: nobody wants to know (log.format). */
  readonly ending?: ((host: string, port: number, error: WeirError) => void) | undefined;
  readonly log: Log;
}

/** A request, or a client at log-in, that waits for a node that can take it. */
export interface Parked {
  /** The topology has changed: try again. */
  retry(): void;
  /** `deadlineMs` has passed. */
  expired(): void;
  readonly deadlineMs: number;
}

/** One per database that clients use. */
export interface Database {
  readonly name: string;
  readonly topology: Topology;
  readonly stats: DatabaseStats;
  readonly common: SharedBySessions;
  /** @param user who has logged in; undefined: what holds for users of whom the configuration says nothing */
  settings(user?: string): PoolSettings;
  /** The role with which Weir logs in to servers for this client user. */
  serverUser(user: string): string;
  /** The pool at that node for a client user. */
  pool(node: NodeState, user: string): Pool;
  /** Sends a CancelRequest to the backend of `server`; resolves when PostgreSQL has taken it. */
  cancel(server: ServerConnection, isWanted?: () => boolean): Promise<void>;
  /** A read that had fallen back to the primary has ended, so another waiting read may use the primary. */
  roomLeft(): void;
  /** Registers `parked` until the topology changes; returns the function that unregisters it. */
  park(parked: Parked): () => void;
  /** ALTER ROLE or ALTER DATABASE was committed: new clients wait until the new defaults are known. */
  defaultsChanged(): void;
  /** Resolves when the defaults of new sessions are known, or after a short timeout. */
  defaultsKnown(): Promise<void>;
  /** The same in two processes if they know of the same defaults of new sessions; undefined: they are not known. */
  defaultsKey(): string | undefined;
  /** Prefix of the cache tags; undefined until the catalog was read for the first time. */
  tagPrefix(): string | undefined;
}
