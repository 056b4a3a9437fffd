/**
 * Figures of the clients for other rooms: rows of SHOW CLIENTS, and counters for SHOW STATS and the metrics. Types
 * only.
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
  /** How long it has waited for a server so far. */
  readonly waitMs: number;
  /** id of its server connection, 0: none; and that connection's node. */
  readonly serverId: number;
  readonly node: string;
  readonly pins: readonly PinReason[];
  readonly preparedStatements: number;
  readonly lastRoute: string;
}

/** Kinds of stuck connections that the watchdog (stuck.ts) finds: label of `weir_stuck_total`. */
export type StuckKind =
  /**
   * client_waiting: waits for a server beyond query_wait_timeout. client_asleep: waits, but nothing is under way that
   * would end the wait.
   */
  | 'client_waiting'
  | 'client_asleep'
  /** Its socket is not read, and nothing will resume it. */
  | 'client_paused'
  | 'server_paused'
  /** Its statement was sent to a server that is gone, or owes nothing. */
  | 'answer_lost'
  /** Taken from its pool, but no session has it. */
  | 'server_unheld'
  /** It owes answers that no session waits for. */
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
  /** In transactions, from the first statement that was sent to a server; with what the client did in between. */
  xactMs: number;
  /** Until the answer has ended, with the wait for a server. */
  queryMs: number;
  /** The same on the server alone. */
  serverMs: number;
  waitMs: number;
  /** 25006 from a replica: a statement taken for a read was not one. */
  misroutes: number;
  /** Statements that failed for a reason that is not their own: see request/unserved.ts. */
  unserved: number;
  /** Statements whose hint had a word that was ignored, because it is none or its value is not allowed. */
  ignoredHints: number;
  /** Reads that a replica cancelled because they conflicted with recovery. */
  recoveryConflicts: number;
  /** Clients that have logged in, those of replication too. */
  logins: number;
  /** Replication connections opened. */
  replications: number;
  /**
   * Parse messages of clients, Parse messages sent to servers, Bind messages of clients (PgBouncer's parse and bind
   * counts).
   */
  clientParses: number;
  serverParses: number;
  binds: number;
  /** index = routeIndex * 6 + cacheIndex * 2 + resultIndex, in the order of the label types above. */
  readonly byLabel: Float64Array;
  /**
   * Per place of durationPlaces: histogram of query durations, bounds in seconds (see durationBoundsSeconds), not
   * cumulative; last = above.
   */
  readonly durations: readonly Float64Array[];
  readonly durationSums: Float64Array;
  /** Of tags that have a budget. */
  tagged: readonly TaggedStats[];
}

/** What is counted of the statements with a tag in their hint. */
export interface TaggedStats {
  readonly tag: string;
  statements: number;
  unserved: number;
  /** Histograms of durations, as above. */
  readonly reads: Float64Array;
  readonly writes: Float64Array;
}

/** The route labels; what provably only reads on the primary is apart from what else it does. */
export const durationPlaces: readonly { readonly route: RouteLabel; readonly isRead?: boolean }[] = [
  { route: 'primary', isRead: false },
  { route: 'replica', isRead: true },
  { route: 'cache', isRead: true },
  // Answered by Weir itself: SHOW weir.x, refusals.
  { route: 'none' },
  { route: 'primary', isRead: true },
];

/** Bucket bounds of query_duration_seconds. */
export const durationBoundsSeconds: readonly number[] = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
];
