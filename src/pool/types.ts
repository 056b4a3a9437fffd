/**
 * What others may see and ask of a pool: figures for the console and the metrics, a sample for the resize
 * controller, and the few things that operators may do. Implemented by pool/pool.ts. Types only.
 */
import type { ReplicationKind } from '../auth/types.ts';
import type { PoolMode } from '../config/config.ts';

export type ResizeReason =
  'pressure' | 'predicted' | 'surplus' | 'operator' | 'server-full' | 'budget' | 'reserve' | 'reload';

export interface ResizeRecord {
  readonly atMs: number;
  readonly from: number;
  readonly to: number;
  readonly reason: ResizeReason;
  /** In words: "clients waited 38 ms (target 10 ms)". */
  readonly why: string;
}

/** Counters since start and gauges of now, read by the console, the metrics and the controller. Times in ms. */
export interface PoolStats {
  readonly database: string;
  readonly user: string;
  readonly node: string;
  readonly poolMode: PoolMode;
  /** How many connections it may have now, and the bounds within which resizing may move that. */
  readonly limit: number;
  readonly min: number;
  readonly max: number;
  /** Connections by what they are doing. `login`: being opened; `resetting`: being cleaned for the next client. */
  readonly active: number;
  readonly idle: number;
  readonly login: number;
  readonly resetting: number;
  /** Of the active ones, those that a pin keeps with their client. */
  readonly pinned: number;
  readonly waiting: number;
  /** How long the oldest waiter of now has waited; 0 without one. */
  readonly maxWaitMs: number;
  /** Connections in use and clients waiting: over the last seconds, and at the peak of the last minute. */
  readonly load: number;
  readonly peakLoad: number;
  /** For how long that has been observed; ms. */
  readonly loadObservedMs: number;
  readonly isPaused: boolean;
  /** How many statements may run at once (resize.mode); undefined: as many as there are servers. */
  readonly atOnce: number | undefined;
  /** It has more work than it can do (overload.ts). */
  readonly isOverloaded: boolean;
  readonly checkouts: number;
  /** Sum and count of waits of those that had to wait, since start. */
  readonly waitedTotalMs: number;
  readonly waits: number;
  readonly waitTimeouts: number;
  /** Clients that were told early to come back, in an overload. */
  readonly earlyRefusals: number;
  /** Sum of time between checkout and checkin, since start. */
  readonly heldTotalMs: number;
  readonly connects: number;
  readonly connectFailures: number;
  /** Why the last log-in failed; undefined after a success. */
  readonly connectProblem: string | undefined;
  readonly lastResize: ResizeRecord | undefined;
  readonly resizes: Readonly<Record<string, number>>;
}

/** Bounds of `weir_pool_wait_seconds`. */
export const waitBoundsSeconds: readonly number[] = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
];

/** Buckets in seconds of the wait histogram `weir_pool_wait_seconds`; counts are cumulative like Prometheus's. */
export interface WaitHistogram {
  readonly boundsSeconds: readonly number[];
  readonly counts: readonly number[];
  readonly sumSeconds: number;
  readonly count: number;
}

export interface PoolControl {
  stats(): PoolStats;
  waitHistogram(): WaitHistogram;
  /** The longest wait that ended, or is still going on, since the last call; ms. For the resize controller. */
  takeMaxWaitMs(): number;
  /** The largest number of connections in use at once since the last call. */
  takePeakInUse(): number;
  /** How many log-ins have failed since the last call because the server has no room (53300). */
  takeServerFull(): number;
  /** Takes effect at once: grows for waiters, closes idle ones, the rest when they come back. */
  setLimit(limit: number, reason: ResizeReason, why: string): void;
  /** Keeps so many connections open ahead of a predicted load, within the limit; 0: none. Their minimum stays. */
  keepWarm(count: number): void;
  /** Bounds by an operator; the limit is moved into them (bounds.ts). */
  setBounds(
    bounds: { min?: number | undefined; max?: number | undefined; isFixed?: boolean | undefined },
    why: string,
  ): void;
  /** @param why what the operator has said */
  pause(why?: 'PAUSE' | 'KILL'): void;
  resume(): void;
  /** Close every connection when it is next idle (RECONNECT, reload). */
  reconnect(): void;
}

/** What a server connection does, in few words: its state is one of backend/server-state.ts. */
export type ShownServerState = 'login' | 'idle' | 'active' | 'resetting' | 'closing';

/** A row of SHOW SERVERS. */
export interface ServerStats {
  readonly id: number;
  readonly database: string;
  readonly user: string;
  readonly node: string;
  /** Absent: an ordinary connection, in a pool. */
  readonly replication?: ReplicationKind;
  readonly state: ShownServerState;
  readonly host: string;
  readonly port: number;
  readonly processId: number;
  readonly hasTls: boolean;
  readonly connectedAtMs: number;
  readonly requestAtMs: number;
  /** id of the client using it, 0 = none. */
  readonly clientId: number;
  readonly preparedStatements: number;
  readonly isCloseNeeded: boolean;
  readonly serverVersion: string;
}
