/**
 * What metrics, health checks and the dashboard read from the other rooms. Implemented by the app; the admin console's
 * `ConsoleSources` includes it. Also the type of the log. Types only.
 */
import type { CacheStats } from '../cache/types.ts';
import type { LogLevel } from '../errors/errors.ts';
import type { PoolControl, ServerStats } from '../pool/types.ts';
import type { ClientStats, DatabaseStats, StuckKind } from '../session/types.ts';
import type { TopologySnapshot } from '../topology/types.ts';

/** Each call returns the present figures; its result may be iterated once. */
export interface StatsSources {
  /** The version of Weir, for example "0.1.0". */
  readonly version: string;
  pools(): Iterable<Pick<PoolControl, 'stats' | 'waitHistogram'>>;
  /** Servers of replication connections, which belong to no pool. */
  replicationServers(): Iterable<ServerStats>;
  clients(): Iterable<ClientStats>;
  databaseStats(): Iterable<DatabaseStats>;
  topologies(): Iterable<{
    readonly database: string;
    snapshot(): TopologySnapshot;
    /** False: not all its nodes were probed yet, or its catalog was not read yet. */
    readonly isSettled?: boolean;
  }>;
  databases(): Iterable<{
    readonly name: string;
    readonly isPaused: boolean;
    readonly isDisabled: boolean;
    /** Why it cannot be used, or not fully, even if its nodes are up. */
    readonly problem: string | undefined;
  }>;
  cacheStats(): CacheStats;
  /** Number of stuck connections that the watchdog has closed since the start, by kind. */
  stuck(): Readonly<Record<StuckKind, number>>;
}

/** The state of the process, for /readyz. */
export interface ServingState {
  readonly isListening: boolean;
  /** New clients are refused, after SIGTERM or SHUTDOWN. */
  readonly isDraining: boolean;
}

/** Further fields of a log line. Secrets in them are removed. */
export type LogFields = Readonly<Record<string, unknown>>;

/**
 * Writes one line of the log. Never throws.
 * @param event a short stable word for programs, such as "pool_resize"
 * @param message a sentence for people
 */
export type Log = (level: LogLevel, event: string, message: string, fields?: LogFields) => void;
