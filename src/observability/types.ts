/**
 * What metrics, health checks and the dashboard read: figures of the other rooms, pulled when somebody asks.
 * Satisfied by the app; the admin console's `ConsoleSources` includes it. Types only.
 */
import type { CacheStats } from '../cache/types.ts';
import type { LogLevel } from '../errors.ts';
import type { PoolControl, ServerStats } from '../pool/types.ts';
import type { ClientStats, DatabaseStats, StuckKind } from '../session/types.ts';
import type { TopologySnapshot } from '../topology/types.ts';

/** Iterated once per question; the app may make the rows on the fly. */
export interface StatsSources {
  /** Weir's own version, e.g. "0.1.0". */
  readonly version: string;
  pools(): Iterable<Pick<PoolControl, 'stats' | 'waitHistogram'>>;
  /** Servers of replication connections: they are in no pool. */
  replicationServers(): Iterable<ServerStats>;
  clients(): Iterable<ClientStats>;
  databaseStats(): Iterable<DatabaseStats>;
  topologies(): Iterable<{
    readonly database: string;
    snapshot(): TopologySnapshot;
    /** False: its nodes and its catalog have not been looked at yet. */
    readonly isSettled?: boolean;
  }>;
  databases(): Iterable<{
    readonly name: string;
    readonly isPaused: boolean;
    readonly isDisabled: boolean;
    /** Why it cannot be used, or not fully, although its nodes may be up. */
    readonly problem: string | undefined;
  }>;
  cacheStats(): CacheStats;
  /** What the watchdog has found since start. */
  stuck(): Readonly<Record<StuckKind, number>>;
}

/** What the process is doing, for /readyz. */
export interface ServingState {
  readonly isListening: boolean;
  /** SIGTERM or SHUTDOWN: no new clients. */
  readonly isDraining: boolean;
}

/** Extra fields of a log line; secrets in them are redacted. */
export type LogFields = Readonly<Record<string, unknown>>;

/**
 * One line of the log. `event` is a short stable word for machines ("pool_resize"), `message` a sentence for people.
 * Never throws.
 */
export type Log = (level: LogLevel, event: string, message: string, fields?: LogFields) => void;
