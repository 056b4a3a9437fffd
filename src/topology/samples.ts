/**
 * What a probe brings home, and the door through which the monitor gets connections. Types only: probe.ts fills them
 * from real servers, tests script them, assess.ts judges them.
 */
import type { NodeConfig } from '../config/config.ts';

/** What stays true for the life of one server connection. */
export interface NodeIdentity {
  /** From pg_control_system(); undefined: not permitted to see it. */
  readonly systemId: string | undefined;
  readonly serverVersion: string;
  /** max_connections less superuser_reserved_connections and reserved_connections. */
  readonly connectionLimit: number;
  /** It may read pg_stat_wal_receiver: a standby's timeline is known at once, not at its next restartpoint. */
  readonly seesWalReceiver: boolean;
  /** What this log-in may not see, and what that costs; undefined: sees everything. */
  readonly limitation: string | undefined;
  /** Nobody could log in: all that is known is that something listens there. */
  readonly isMute?: boolean;
}

export interface ProbeSample {
  readonly isInRecovery: boolean;
  /** Primary: end of the last record inserted. Replica: replayed up to here; 0 = nothing replayed yet (NULL). */
  readonly lsn: number;
  /** Primary: the timeline it writes. Replica: the newest that it proves to follow; undefined: cannot be told. */
  readonly timeline: number | undefined;
}

export type ProbeRow = Record<string, unknown>;
export type ProbeQuery = (text: string, values?: readonly unknown[]) => Promise<ProbeRow[]>;

/** One server connection of the monitor. One call at a time. */
export interface ProbeConnection {
  readonly identity: NodeIdentity;
  /** Rejects when the node does not answer within the probe timeout; the connection is of no use after that. */
  probe(): Promise<ProbeSample>;
  query: ProbeQuery;
  /** Never rejects; may be called twice. */
  close(): Promise<void>;
}

/**
 * Rejects when it cannot connect or is aborted first. `onLost` is called at most once, after the promise was fulfilled,
 * and not after `close()`.
 */
export type ConnectProbe = (
  node: NodeConfig,
  onLost: (failure: ProbeFailure) => void,
  signal: AbortSignal,
) => Promise<ProbeConnection>;

export interface ProbeFailure {
  readonly problem: string;
  /** Nobody serves there right now, said by the machine itself (refused, starting up, shutting down): not merely silence. */
  readonly isStopped: boolean;
  /** The server is there, and does not let this log-in in: another try will not help, another log-in may. */
  readonly isRefused?: boolean;
}
