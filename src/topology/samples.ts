/**
 * The answers to a probe, and the function type with which the monitor connects. Types only: probe.ts implements them
 * for real servers, tests script them, assess.ts judges the answers.
 */
import type { NodeConfig } from '../config/config.ts';

/** What stays true for the life of one server connection. */
export interface NodeIdentity {
  /** From pg_control_system(); undefined: not permitted to see it. */
  readonly systemId: string | undefined;
  readonly serverVersion: string;
  /** When it was started: tells one server under two addresses. Absent: an older worker asked. */
  readonly serverId?: string | undefined;
  /** max_connections less superuser_reserved_connections and reserved_connections. */
  readonly connectionLimit: number;
  /**
   * The log-in may read pg_stat_wal_receiver: a standby's new timeline is seen at once, not at its next restartpoint.
   */
  readonly seesWalReceiver: boolean;
  /** What this log-in may not see, for SHOW NODES; undefined: nothing is missing. */
  readonly limitation: string | undefined;
  /** Its WAL functions are not offered: its role is known, and neither its timeline nor its position (Amazon Aurora). */
  readonly hasNoWal?: boolean;
  /** No log-in was accepted: known is only that the server accepts TCP connections. */
  readonly isMute?: boolean;
}

export interface ProbeSample {
  readonly isInRecovery: boolean;
  /** Primary: end of the last record inserted. Replica: position replayed to; 0: nothing replayed yet (NULL). */
  readonly lsn: number;
  /** Primary: the timeline it writes. Replica: the newest timeline that it provably follows; undefined: not known. */
  readonly timeline: number | undefined;
}

export type ProbeRow = Record<string, unknown>;
export type ProbeQuery = (text: string, values?: readonly unknown[]) => Promise<ProbeRow[]>;

/** One server connection of the monitor. One call at a time. */
export interface ProbeConnection {
  readonly identity: NodeIdentity;
  /** The address that the name of the server led to; undefined: not known, as of a Unix socket. */
  readonly address?: string | undefined;
  /** Rejects when the node does not answer within the probe timeout; the connection cannot be used after that. */
  probe(): Promise<ProbeSample>;
  query: ProbeQuery;
  /** Never rejects; may be called twice. */
  close(): Promise<void>;
}

/**
 * Connects to a node. Rejects if that fails or `signal` is aborted first. `onLost` is called at most once: after the
 * promise was fulfilled, and not after `close()`.
 */
export type ConnectProbe = (
  node: NodeConfig,
  onLost: (failure: ProbeFailure) => void,
  signal: AbortSignal,
) => Promise<ProbeConnection>;

export interface ProbeFailure {
  readonly problem: string;
  /**
   * The host itself reported that no server accepts connections (refused, starting up, shutting down), as opposed to
   * no answer at all.
   */
  readonly isStopped: boolean;
  /** The server answered and refused this log-in: another attempt does not help, another log-in may. */
  readonly isRefused?: boolean;
}
