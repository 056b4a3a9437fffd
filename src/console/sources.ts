/**
 * Everything the admin console asks of the rest of Weir: rows to show and things to do. The app satisfies it with
 * a thin adapter; tests with a fake. Types only.
 * Actions refuse by throwing a WeirError (`console_refused`, `no_such_database` ...): its text goes to the operator.
 */
import type { BalanceHosts, PoolMode } from '../config/config.ts';
import type { StatsSources } from '../observability/types.ts';
import type { ServerStats } from '../pool/types.ts';

/** A row of SHOW DATABASES: one configured database, or one that clients opened through "*". */
export interface DatabaseRow {
  readonly name: string;
  /** The primary as configured. */
  readonly host: string;
  readonly port: number;
  /** Its name on the server. */
  readonly serverDatabase: string;
  /** The user that every client's server connections log in as; undefined: the client's own. */
  readonly forceUser: string | undefined;
  readonly defaultPoolSize: number;
  readonly minPoolSize: number;
  readonly maxPoolSize: number;
  readonly serverLifetimeMs: number;
  readonly poolMode: PoolMode;
  readonly loadBalanceHosts: BalanceHosts;
  /** Per node; 0 = what the node can spare. */
  readonly maxDbConnections: number;
  readonly isPaused: boolean;
  /** Refuses new clients (DISABLE). */
  readonly isDisabled: boolean;
  /** Why it cannot be used, or not fully, although its nodes may be up. */
  readonly problem: string | undefined;
  readonly replicas: number;
}

/** A row of SHOW CONFIG; values as they are written in a configuration file, secrets already hidden. */
export interface SettingRow {
  readonly key: string;
  readonly value: string;
  readonly default: string;
  readonly isChangeable: boolean;
}

/** A row of SHOW PREPARED: one distinct statement that clients have prepared by name. */
export interface PreparedRow {
  readonly database: string;
  readonly user: string;
  /** Text as sent by the client; the console cuts it. */
  readonly query: string;
  /** Clients that have it prepared, and server connections on which it is. */
  readonly clients: number;
  readonly servers: number;
}

export interface ResizeRequest {
  readonly database: string;
  /** Undefined: every user of the database; likewise the node. */
  readonly user: string | undefined;
  readonly node: string | undefined;
  readonly min: number | undefined;
  readonly max: number | undefined;
}

/** One pool that a RESIZE touched. */
export interface ResizeOutcome {
  readonly database: string;
  readonly user: string;
  readonly node: string;
  /** Its limit before and after, and its bounds now. */
  readonly before: number;
  readonly after: number;
  readonly min: number;
  readonly max: number;
}

/** A table as written in INVALIDATE TABLE, folded to lower case unless quoted. */
export interface TableName {
  readonly schema: string | undefined;
  readonly name: string;
}

export interface InvalidateRequest {
  readonly tables: readonly TableName[];
  /** User tags without their prefix. */
  readonly tags: readonly string[];
  readonly all: boolean;
}

/** A line of EXPLAIN ROUTE: "route" -> "replica db2", "cache" -> "off: volatile now()". */
export interface ExplainRow {
  readonly item: string;
  readonly value: string;
}

export interface ExplainRequest {
  readonly sql: string;
  /** Undefined: the only configured database; refuse when there are several. */
  readonly database: string | undefined;
  /** Whose search_path counts; undefined: the console's user. */
  readonly user: string;
}

/**
 * now: clients are cut off. wait-for-servers: no new clients, statements and transactions in flight end first (as
 * SIGTERM). wait-for-clients: no new clients, exit when the last has gone.
 */
export type ShutdownMode = 'now' | 'wait-for-servers' | 'wait-for-clients';

/** `signal` fires when the operator cancelled the command or went away: stop waiting, leave things as they are. */
export interface ConsoleActions {
  /** Stop handing out servers; resolves when all of them are released and closed. Undefined: every database. */
  pause(database: string | undefined, signal: AbortSignal): Promise<void>;
  resume(database: string | undefined): Promise<void>;
  /** Refuse, or take again, new clients of a database. */
  disable(database: string): Promise<void>;
  enable(database: string): Promise<void>;
  /** Reads the configuration again; resolves to what could not be applied, in words. A bad file throws and changes nothing. */
  reload(): Promise<readonly string[]>;
  /** Close server connections when they are next released. */
  reconnect(database: string | undefined): Promise<void>;
  /** Resolves when no server connection is marked for closing any more. */
  waitClose(database: string | undefined, signal: AbortSignal): Promise<void>;
  /** Ends one client; false: no such client. */
  killClient(id: number): Promise<boolean>;
  /** Drops every client and server connection of a database (undefined: of all), which stays paused until RESUME. */
  killDatabase(database: string | undefined): Promise<void>;
  /** Resolves as soon as the shutdown has been started. */
  shutdown(mode: ShutdownMode): Promise<void>;
  /** No new work for a node / work again; in every database that has a node of this name. False: there is none. */
  setDraining(node: string, isDraining: boolean): Promise<boolean>;
  /** Takes effect at once. Refuses when nothing fits the names. */
  resizePool(request: ResizeRequest): Promise<readonly ResizeOutcome[]>;
  /** The console has checked that the key exists and is changeable; refuse a bad value. */
  setSetting(key: string, value: string): Promise<void>;
  /** Resolves when every reachable Weir was told. Refuses a table that no database has. */
  invalidate(request: InvalidateRequest): Promise<void>;
  explainRoute(request: ExplainRequest): Promise<readonly ExplainRow[]>;
}

export interface ConsoleSources extends StatsSources, ConsoleActions {
  servers(): Iterable<ServerStats>;
  databases(): Iterable<DatabaseRow>;
  settings(): Iterable<SettingRow>;
  /** Names of the users that Weir knows secrets of. */
  users(): Iterable<string>;
  preparedStatements(): Iterable<PreparedRow>;
  /** max_client_conn. */
  readonly maxClientConn: number;
}
