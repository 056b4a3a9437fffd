/**
 * What the admin console needs from the rest of Weir: rows to show, and actions. Implemented by the app
 * (app/console-sources.ts, app/console-actions.ts). An action refuses by throwing a WeirError (`console_refused`,
 * `no_such_database` ...), whose text is shown to the operator. Types only.
 */
import type { Invalidated } from '../cache/types.ts';
import type { PoolMode, RoutingSettings } from '../config/config.ts';
import type { AddedNode, NodeChange } from '../config/node-changes.ts';
import type { FiguresDetail, StatsSources } from '../observability/types.ts';
import type { ServerStats } from '../pool/types.ts';
import type { ClientStats } from '../session/types.ts';
import type { StatsPeriod } from './stats-types.ts';

/** A row of SHOW DATABASES: a configured database, or one that a client has opened by the "*" entry. */
export interface DatabaseRow {
  readonly name: string;
  /** The configured primary. */
  readonly host: string;
  readonly port: number;
  /** The name of the database on the server. */
  readonly serverDatabase: string;
  /** The user of all server connections; undefined: each client's own user. */
  readonly forceUser: string | undefined;
  readonly defaultPoolSize: number;
  readonly minPoolSize: number;
  readonly maxPoolSize: number;
  readonly serverLifetimeMs: number;
  readonly poolMode: PoolMode;
  readonly loadBalanceHosts: RoutingSettings['loadBalanceHosts'];
  /** Per node; 0 = as many as the node can spare. */
  readonly maxDbConnections: number;
  /** 0 = no limit but max_client_conn. */
  readonly maxDbClientConnections: number;
  /** resize.enabled: its pools may grow to max_pool_size. */
  readonly isResizing: boolean;
  readonly reservePoolSize: number;
  readonly isPaused: boolean;
  /** It refuses new clients (DISABLE). */
  readonly isDisabled: boolean;
  /** Why it cannot be used, or not fully, even if its nodes are up. */
  readonly problem: string | undefined;
  readonly replicas: number;
}

/** A row of SHOW CONFIG. Values as in a configuration file, with secrets hidden. */
export interface SettingRow {
  readonly key: string;
  readonly value: string;
  readonly default: string;
  readonly isChangeable: boolean;
}

/** A row of SHOW PREPARED: a statement that clients have prepared by name. */
export interface PreparedRow {
  readonly database: string;
  readonly user: string;
  /** The text as the client sent it; the console cuts it. */
  readonly query: string;
  /** Clients that have it prepared, and server connections on which it is. */
  readonly clients: number;
  readonly servers: number;
}

/** The admin console itself: its clients, and what it has counted since the start. Survives a structured clone. */
export interface ConsoleFigures {
  readonly clients: readonly ClientStats[];
  readonly logins: number;
  /** Commands that were run. */
  readonly queries: number;
}

export interface ResizeRequest {
  readonly database: string;
  /** Undefined: every user of the database; likewise the node. */
  readonly user: string | undefined;
  readonly node: string | undefined;
  readonly min: number | undefined;
  readonly max: number | undefined;
}

/** One pool that RESIZE POOL has changed. */
export interface ResizeOutcome {
  readonly database: string;
  readonly user: string;
  readonly node: string;
  /** Its limit before and after, and its bounds now. */
  readonly before: number;
  readonly after: number;
  readonly min: number;
  readonly max: number;
  /** No client has opened such a pool yet: it will begin like this. */
  readonly isToCome?: true;
}

/** Keys and values as in SET. */
export type OtherSettings = readonly (readonly [key: string, value: string])[];

/** A table of INVALIDATE TABLE, folded to lower case unless quoted. */
export interface TableName {
  readonly schema: string | undefined;
  readonly name: string;
}

export interface InvalidateRequest {
  readonly tables: readonly TableName[];
  /** Tags that clients named, without the prefix `t:`. */
  readonly tags: readonly string[];
  readonly patterns: readonly string[];
  /** Absent: an operator. */
  readonly by?: 'http';
  readonly all: boolean;
}

/** A line of EXPLAIN ROUTE: "route" -> "replica db2", "cache" -> "off: volatile now()". */
export interface ExplainRow {
  readonly item: string;
  readonly value: string;
}

export interface ExplainRequest {
  readonly sql: string;
  /** Undefined: the only configured database; an error if there are several. */
  readonly database: string | undefined;
  /** The user whose search_path is used. */
  readonly user: string;
}

/**
 * now: clients are disconnected. wait-for-servers: no new clients; running statements and transactions end first (as with
 * SIGTERM). wait-for-clients: no new clients; the process exits when the last client has disconnected.
 */
export type ShutdownMode = 'now' | 'wait-for-servers' | 'wait-for-clients';

/** One rolling restart of the workers. Survives a structured clone. */
export interface RestartRow {
  /** From 1, since Weir was started. */
  readonly number: number;
  readonly state: 'running' | 'done' | 'failed';
  readonly workers: number;
  /** Of them, those that are replaced already. */
  readonly replaced: number;
  /** The supervisor, which is replaced last, is the new one. */
  readonly isSupervisorReplaced: boolean;
  /** Clients that could not change their worker, and had to connect again. */
  readonly endedClients: number;
  /** Epoch ms. */
  readonly startedAtMs: number;
  readonly finishedAtMs: number | undefined;
  /** Why it has failed, in words. */
  readonly problem: string | undefined;
  /** Changed settings that stay as they were until Weir is started anew. */
  readonly kept: readonly string[];
}

export interface BegunRestart {
  readonly restart: RestartRow;
  /** It was under way already. */
  readonly isJoined: boolean;
}

/** DETAIL of the 57P01 that ends sessions of the console when wait-for-clients is complete; `weir drain --wait` reads it. */
export const lastClientLeft = 'The last client has left.';

/**
 * A `database` of undefined means every database. `signal` fires when the operator has cancelled the command or
 * disconnected: the action then stops to wait, and undoes nothing.
 */
export interface ConsoleActions {
  /** The pools give out no more servers. Resolves when all servers are released and closed. */
  pause(database: string | undefined, signal: AbortSignal): Promise<void>;
  resume(database: string | undefined): Promise<void>;
  /**
   * No client and no server is read any more. Resolves when all that was read has been sent; suspend_timeout closes those for whom
   * that takes longer.
   */
  suspend(signal: AbortSignal): Promise<void>;
  /** Ends SUSPEND, if there is one. */
  endSuspend(): Promise<void>;
  /** Refuses new clients of the database. */
  disable(database: string): Promise<void>;
  enable(database: string): Promise<void>;
  /**
   * Reads the configuration again. Resolves to what could not be applied, in words.
   * @throws WeirError for a bad file, and then changes nothing
   */
  reload(): Promise<readonly string[]>;
  /** Closes each server connection when it is next released. */
  reconnect(database: string | undefined): Promise<void>;
  /** Resolves when no server connection is marked for closing any more. */
  waitClose(database: string | undefined, signal: AbortSignal): Promise<void>;
  /** Disconnects one client; false: there is none with this id. */
  killClient(id: number): Promise<boolean>;
  /** Closes every client and server connection of the database, and pauses it until RESUME. */
  killDatabase(database: string | undefined): Promise<void>;
  /** Resolves as soon as the shutdown has begun. */
  shutdown(mode: ShutdownMode): Promise<void>;
  /** Has all workers replaced one by one. Resolves as soon as that has begun. Refused where there is one process. */
  restart(): Promise<BegunRestart>;
  /** The last restarts, the newest first. */
  restarts(): Promise<readonly RestartRow[]>;
  /** Starts or ends draining of a node, in every database that has a node of this name. False: none has. */
  setDraining(node: string, isDraining: boolean): Promise<boolean>;
  /** Takes effect at once. Refuses names for which there is no pool. */
  resizePool(request: ResizeRequest): Promise<readonly ResizeOutcome[]>;
  /**
   * Refuses a bad value. The console has checked that the key exists and is changeable.
   * @param also what has to change at the same moment
   */
  setSetting(key: string, value: string, also?: OtherSettings): Promise<void>;
  /**
   * Looks at a node that may be added, and resolves to it with its name. Refuses one that cannot be reached, or is not a standby
   * of the cluster.
   */
  tryNode(added: AddedNode): Promise<AddedNode>;
  /** Adds or removes a node, at once. Resolves to what the operator has to know. */
  changeNodes(change: NodeChange): Promise<readonly string[]>;
  /** Resolves when every reachable Weir process has been told. Refuses a table that no database has. */
  invalidate(request: InvalidateRequest): Promise<Invalidated>;
  /** Forgets the statistics of statements. */
  resetStatements(): Promise<void>;
  explainRoute(request: ExplainRequest): Promise<readonly ExplainRow[]>;
}

export interface ConsoleSources extends StatsSources, ConsoleActions {
  servers(): Iterable<ServerStats>;
  databases(): Iterable<DatabaseRow>;
  settings(): Iterable<SettingRow>;
  /** Names of the users for whom Weir has a password or other secret. */
  users(): Iterable<string>;
  preparedStatements(): Iterable<PreparedRow>;
  console(): ConsoleFigures;
  /** max_client_conn. */
  readonly maxClientConn: number;
  /** The end of Weir has begun: a drain, or at once. */
  readonly isDraining: boolean;
  /** Between SUSPEND and RESUME. */
  readonly isSuspended: boolean;
  /** One for each worker, when these are the figures of several; absent: the console keeps that of this process. */
  readonly periods?: readonly StatsPeriod[] | undefined;
  /** What the operator has to know about the figures and actions since they were gathered, as text. */
  notices?(): readonly string[];
}

/** Reads the figures of the whole Weir; its actions concern the whole Weir too. */
export type Gather = (detail: FiguresDetail) => Promise<ConsoleSources>;
