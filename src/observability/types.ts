/**
 * What metrics, health checks and the dashboard read from the other rooms. Implemented by the app; the admin console's
 * `ConsoleSources` includes it. Also the type of the log. Types only.
 */
import type { DecodingFigures } from '../decoding/types.ts';
import type { BudgetFigures } from '../budgets/types.ts';
import type { CacheStats } from '../cache/types.ts';
import type { LogLevel } from '../errors/errors.ts';
import type { ForecastFigures } from '../forecast/types.ts';
import type { MemoryFigures } from '../memory/types.ts';
import type { LimitFigures } from '../limits/types.ts';
import type { PoolControl, ServerStats } from '../pool/types.ts';
import type { ConnectionBudgetFigures } from '../shares/types.ts';
import type { ClientStats, DatabaseStats, StuckKind } from '../session/types.ts';
import type { StatementFigures } from '../statements/types.ts';
import type { TopologySnapshot } from '../topology/types.ts';
import type { Slot } from './page/slot-types.ts';

/** Counts of events by a word, such as the reason. */
export type Counts = Readonly<Record<string, number>>;

/** The share of the time in which the event loop was busy: over the last seconds, and at the peak of the last minute. */
export interface BusyShare {
  readonly average: number;
  readonly peak: number;
  /** For how long that has been observed. */
  readonly observedMs: number;
}

/** What a process counts and measures of itself; or all workers together. */
export interface ProcessFigures {
  readonly authFailures: Counts;
  readonly ejections: Counts;
  /** CancelRequests for clients of other Weirs (peers), by what became of them. Absent: of a worker that knew of none. */
  readonly peerCancels?: Counts;
  /** Spans of statements that no collector has got. Absent: of a worker that knew of none. */
  readonly droppedSpans?: Counts;
  /** By `direction:reason`, over all pools since the start. */
  readonly resizes: Counts;
  readonly unexpectedErrors: number;
  /** Delays in seconds: quantiles of the last 10 to 20 s, sum and count since the start. */
  readonly eventLoop: {
    readonly quantiles: ReadonlyMap<number, number>;
    readonly sum: number;
    readonly count: number;
  };
  readonly busy: BusyShare;
  readonly cpuSeconds: number;
  /** Epoch seconds. */
  readonly startedAtSeconds: number;
  readonly residentBytes: number;
  readonly heapUsedBytes: number;
  readonly externalBytes: number;
  /** Undefined on systems other than Linux. */
  readonly openFiles: number | undefined;
}

/** `starting`: it is not given clients yet; `ending`: not any more; `gone`: it has ended, and no other has taken its place. */
export const workerStates = ['starting', 'ready', 'emptying', 'ending', 'gone'] as const;
export type ShownWorkerState = (typeof workerStates)[number];

/** A row of SHOW WORKERS: one process of this Weir. */
export interface WorkerFigures {
  /** From 1. A worker that takes the place of another has its number. */
  readonly number: number;
  /** Of one that is gone, the last it had. */
  readonly pid: number;
  readonly state: ShownWorkerState;
  /** Epoch milliseconds; undefined: it is gone. */
  readonly startedAtMs: number | undefined;
  /** How often a restart has replaced it. */
  readonly restarts: number;
  /** How often it has died and another was started. */
  readonly deaths: number;
  /** These are undefined if the worker has not answered. `servers`: open server connections, those of replication too. */
  readonly version: string | undefined;
  readonly clients: number | undefined;
  readonly servers: number | undefined;
  readonly process: ProcessFigures | undefined;
  readonly memory: MemoryFigures | undefined;
}

/** What there is besides the figures when they are those of several workers. */
export interface WholeWeir {
  /** All processes together. */
  readonly process: ProcessFigures;
  readonly serving: ServingState;
  /** Numbers of the workers that did not answer in time. */
  readonly silent: readonly number[];
}

/**
 * How much of every worker is asked for. totals: clients that differ in nothing that is counted are one row with a number,
 * and prepared statements are left out. rows: everything but the statistics of statements, which may be many. statements: totals and
 * these. page: as totals, but for the clients that are worth a look, and with what was noted in the last seconds; page-full: in
 * the last quarter of an hour, and with the statistics of statements.
 */
export type FiguresDetail = 'totals' | 'rows' | 'statements' | 'page' | 'page-full';

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
    /** Per node; 0 = as many as the node can spare. */
    readonly maxDbConnections: number;
    /** Its pools may grow to max_pool_size. */
    readonly isResizing: boolean;
    /** Why it cannot be used, or not fully, even if its nodes are up. */
    readonly problem: string | undefined;
  }>;
  cacheStats(): CacheStats;
  /** Number of stuck connections that the watchdog has closed since the start, by kind. */
  stuck(): Readonly<Record<StuckKind, number>>;
  /** What it may have and uses of memory, and what was done while it was short. */
  memory(): MemoryFigures;
  /** The rate limits and their buckets. */
  limits(): Iterable<LimitFigures>;
  /** The connections that several Weirs have together. */
  connectionBudget(): Iterable<ConnectionBudgetFigures>;
  /** The budgets (service levels), judged. */
  budgets(): Iterable<BudgetFigures>;
  /** How far writes around Weir are known; none while nobody looks for them. */
  decodings(): Iterable<DecodingFigures>;
  /** What pools will need, by time of day; none while that is off. */
  forecast(): Iterable<ForecastFigures>;
  /** Statistics of statements; undefined: they are off. */
  statements(): Iterable<StatementFigures> | undefined;
  /** The processes of this Weir. */
  workers(): Iterable<WorkerFigures>;
  /** Undefined: these are the figures of one process. */
  readonly whole?: WholeWeir | undefined;
  /** What all workers have noted for the page, if that was asked for. */
  readonly slots?: readonly Slot[] | undefined;
}

/** The state of the process, for /readyz. */
export interface ServingState {
  readonly isListening: boolean;
  /** New clients are refused, after SIGTERM or SHUTDOWN. */
  readonly isDraining: boolean;
  /** SUSPEND holds. */
  readonly isSuspended?: boolean | undefined;
}

/** Further fields of a log line. Secrets in them are removed. */
export type LogFields = Readonly<Record<string, unknown>>;

/**
 * Writes one line of the log. Never throws.
 * @param event a short stable word for programs, such as "pool_resize"
 * @param message a sentence for people
 */
export type Log = (level: LogLevel, event: string, message: string, fields?: LogFields) => void;
