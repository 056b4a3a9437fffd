/**
 * What others may see of the clients: rows for SHOW CLIENTS and counters for SHOW STATS and the metrics. Types only.
 */
import type { ReplicationKind } from '../auth/types.ts';
import type { PinReason } from '../binding/plan.ts';

export type ClientState = 'idle' | 'active' | 'waiting' | 'idle_in_transaction' | 'login';

/** A row of SHOW CLIENTS. Epoch milliseconds where a name ends in AtMs. */
export interface ClientStats {
  readonly id: number;
  readonly database: string;
  readonly user: string;
  /** Absent: an ordinary connection. */
  readonly replication?: ReplicationKind;
  readonly state: ClientState;
  readonly host: string;
  readonly port: number;
  readonly hasTls: boolean;
  readonly applicationName: string;
  readonly connectedAtMs: number;
  readonly requestAtMs: number;
  /** ms it has waited for a server by now. */
  readonly waitMs: number;
  /** id of the server it holds, 0 = none; and that server's node. */
  readonly serverId: number;
  readonly node: string;
  readonly pins: readonly PinReason[];
  readonly preparedStatements: number;
  readonly lastRoute: string;
}

/** What the watchdog finds (stuck.ts): label of `weir_stuck_total`. */
export type StuckKind =
  /** Waited for a server beyond query_wait_timeout; or for something that nobody knows of. */
  | 'client_waiting'
  | 'client_asleep'
  /** Its socket is not read, and nobody will read it again. */
  | 'client_paused'
  | 'server_paused'
  /** Its statement was sent to a server that is gone, or owes nothing. */
  | 'answer_lost'
  /** Handed out, and nobody has it. */
  | 'server_unheld'
  /** Its answers are nobody's. */
  | 'server_owes_nobody';

export type RouteLabel = 'primary' | 'replica' | 'cache' | 'none';
export type CacheLabel = 'hit' | 'miss' | 'off';
export type ResultLabel = 'ok' | 'error';

/** Counters of one database since start; plain fields, read at scrape. Times in ms, sizes in bytes. */
export interface DatabaseStats {
  readonly database: string;
  xacts: number;
  queries: number;
  receivedBytes: number;
  sentBytes: number;
  xactMs: number;
  queryMs: number;
  waitMs: number;
  /** 25006 from a replica: a statement taken for a read that was not. */
  misroutes: number;
  /** Reads that a replica has cancelled because they were in the way of the replay. */
  recoveryConflicts: number;
  /** Replication connections opened. */
  replications: number;
  /** Parse messages of clients, Parse messages sent to servers, Bind messages of clients (PgBouncer's parse and bind counts). */
  clientParses: number;
  serverParses: number;
  binds: number;
  /** index = routeIndex * 6 + cacheIndex * 2 + resultIndex, in the order of the label types above. */
  readonly byLabel: Float64Array;
  /** Per route label: histogram of query durations, bounds in seconds (see durationBoundsSeconds), not cumulative; last = above. */
  readonly durations: readonly Float64Array[];
  readonly durationSums: Float64Array;
}

/** Bucket bounds of query_duration_seconds. */
export const durationBoundsSeconds: readonly number[] = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
];
