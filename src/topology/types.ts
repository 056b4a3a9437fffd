/**
 * What the rest of Weir knows about the nodes of one database: immutable snapshots, and one mutable load object per
 * node. Made by topology/topology.ts; read by routing/, session/, console/, sizing/. Types only.
 */
import type { NodeConfig } from '../config/config.ts';
import type { Catalog } from '../catalog/types.ts';
import type { Tried } from './trial.ts';

export type NodeRole = 'primary' | 'replica' | 'unknown';

/** The circuit breaker of a node (topology/circuit-state.ts). */
export type CircuitState = 'closed' | 'open' | 'half-open';

/** Load of one node, written by sessions, read by routing. One object for the life of the process. */
export interface NodeLoad {
  /** Requests sent and not yet answered. */
  outstanding: number;
  /** Peak-EWMA of (latency / the template's own baseline); 1 = as fast as ever. */
  ewma: number;
  /** Monotonic ms of the last sample. */
  ewmaAtMs: number;
  /**
   * How many of the outstanding requests are reads that fell back to this primary because no replica could take them.
   */
  fallbackReads: number;
  /** Limit on `fallbackReads`: half of what this database's pools may grow to on the node. */
  fallbackRoom: number;
  /** Statements and log-ins that it has answered since the start, with an error or without. */
  answered: number;
  /** Reads that were sent to it as a trial while its circuit is half-open, and are not answered yet. */
  trials: number;
  /** Clients wait for a connection to it: with zones, others take its reads. Kept only where zones are set. */
  isFull?: boolean;
  /** It is no node any more, though statements may still run there. */
  isGone?: boolean;
}

/** One node as the monitor last saw it. Immutable, except for the shared object `load`. */
export interface NodeState {
  readonly config: NodeConfig;
  readonly name: string;
  readonly role: NodeRole;
  /** Answers probes, is on the right timeline and has answered lately. */
  readonly isUp: boolean;
  /** An administrator ran DRAIN for it. */
  readonly isDraining: boolean;
  /** Monotonic ms until which the node is ejected; 0: it is not. */
  readonly ejectedUntilMs: number;
  /** Its circuit breaker; absent: closed. Since when (monotonic ms), and why in words. */
  readonly circuit?: CircuitState;
  readonly circuitSinceMs?: number;
  readonly circuitWhy?: string;
  /** Replica: lower bound of its replay position (LSN as a number). Primary: newest insert LSN seen. */
  readonly lsn: number;
  /** Replica: upper bound of its lag in ms (topology/lag.ts); primary: 0; not known: Infinity. */
  readonly lagMs: number;
  readonly lagBytes: number;
  /** Replica: monotonic ms of the last moment whose state it is known to have; its lag is at most now minus this. */
  readonly caughtUpAtMs?: number;
  /**
   * Replica: its lag exceeded max_replica_lag, and has not fallen below 80 % of it since. Absent: decide by `lagMs`.
   */
  readonly isLagging?: boolean;
  /**
   * Replica: its connection was lost and it has not yet replayed the primary's position as of then: only reads with
   * eventual consistency may use it.
   */
  readonly isCatchingUp?: boolean;
  /** Timeline that it is proven to be on; absent: not known. */
  readonly timeline?: number;
  /** Share of its normal load: rises from 0.1 to 1 in the time of routing.slow_start after coming back. */
  readonly slowStart: number;
  /**
   * It was asked a moment ago, or by another process before, and has neither answered nor failed: what is known of it is no
   * news. It takes no work.
   */
  readonly isUnheard?: boolean;
  /** Replica: its lag is measured anew since a moment ago, so that it lags is no news. */
  readonly isLagUnproven?: boolean;
  /** Current problem or remark as text, for SHOW NODES; undefined: none. */
  readonly problem: string | undefined;
  /** Connections that the server offers to ordinary roles: max_connections less its reserves; 0: not known yet. */
  readonly connectionLimit: number;
  readonly serverVersion: string | undefined;
  /** Of its cluster; absent: not known. */
  readonly systemId?: string;
  /** NodeIdentity.serverId; absent: not known. */
  readonly serverId?: string;
  readonly load: NodeLoad;
}

export interface TopologySnapshot {
  readonly database: string;
  readonly primary: NodeState | undefined;
  readonly replicas: readonly NodeState[];
  /** Every node, in the order of the configuration. */
  readonly nodes: readonly NodeState[];
  /** Grows with every change of primary or timeline: ticks of an older epoch mean "primary only". */
  readonly epoch: number;
}

/** Number of the first LSN probe sent after a given moment: its answer is a primary insert LSN *after* that moment. */
export type Tick = number;

export interface LsnTicker {
  /** The tick for "now": the number of the next probe to be sent. Has that probe sent soon. */
  next(): Tick;
  /**
   * LSN of the first finished probe with at least this number; undefined: not known yet; Infinity: the tick is of an
   * older epoch, so only the primary will do. A caller that gets Infinity may take a new tick instead: everything that
   * survived from the old timeline lies before it.
   */
  lsnOf(tick: Tick): number | undefined;
}

/**
 * Numbers the comparisons of the database's catalog with the one that Weir knows. A comparison that begins after a
 * write and finds no difference proves that Weir knew everything the write could set off: no trigger had been created
 * outside Weir.
 */
export interface SchemaClock {
  /** Number of the comparison that begins next. */
  readonly next: number;
  /**
   * Newest comparison on the primary that found no difference, or reading from the primary whose catalog has been
   * handed out.
   */
  readonly confirmed: number;
  /** A session waits for the next comparison: do it soon. */
  hurry(): void;
}

export type NodeFailure = 'connect' | 'lost' | 'timeout' | 'shutdown';

export interface ServerAddress {
  readonly host: string;
  readonly port: number;
}

export interface LostBackend {
  readonly node: ServerAddress;
  readonly processId: number;
  /** When its log-in completed, monotonic ms. */
  readonly connectedAtMs: number;
}

/** One database's nodes. Owned by the app, one per database that clients use. */
export interface Topology {
  readonly database: string;
  readonly ticker: LsnTicker;
  readonly schema: SchemaClock;
  /** Reads can be recognized and replicas used, or the wait for that has timed out. Stays true. */
  readonly isSettled: boolean;
  /** A problem of the database itself rather than of a node: it does not exist, or its catalog cannot be read. */
  readonly problem?: string | undefined;
  snapshot(): TopologySnapshot;
  /**
   * undefined while no valid catalog is known; no statement is provably a read then. A new object after each change.
   */
  catalog(): Catalog | undefined;
  /** The last catalog read; out of date after DDL until it was read again. */
  lastCatalog(): Catalog | undefined;
  /** A client of Weir ran DDL, GRANT or the like: read the catalog again. Until then `catalog()` is undefined. */
  catalogChanged(): void;
  /**
   * Reports a transport failure of a pooled connection (never an SQL error, never a full pool). "shutdown": the server has
   * said why it ends the connection, which does not count against its node.
   */
  reportFailure(node: string, failure: NodeFailure, detail: string): void;
  reportSuccess(node: string): void;
  /**
   * A server reported 25006 (read_only_sql_transaction), or seems to have another role than known: probe it at once.
   */
  suspectRole(node: string): void;
  setDraining(node: string, isDraining: boolean): boolean;
  /**
   * Other nodes from now on, the configured primary first. What is known of those that stay is kept; a new one takes reads as
   * soon as it is known to be ready. False: the primary is not among them, and nothing has changed.
   */
  setNodes(nodes: readonly NodeConfig[]): boolean;
  /** Looks at a server that may become a node. Never rejects. */
  tryNode(node: NodeConfig): Promise<Tried>;
  /**
   * The connection to a backend was lost in the middle of a write: resolves when the write is committed or never will
   * be. Does not resolve while that cannot be found out.
   */
  whenGone(backend: LostBackend): Promise<void>;
  /**
   * The same for a backend used by another Weir, which may have another name for the server: if it is unknown here,
   * the primary is queried.
   */
  readonly whenForeignGone: (backend: Omit<LostBackend, 'connectedAtMs'>) => Promise<void>;
  /**
   * Calls `listener` when a node's role, health or eligibility changed; not for every new LSN while reads can use the
   * primary (`snapshot()` has the latest). Returns the function that unsubscribes.
   */
  onChange(listener: (snapshot: TopologySnapshot) => void): () => void;
  /**
   * Probes the nodes now and repeatedly while at least one listener is registered; calls it after each answer. Returns
   * the function that unregisters it.
   */
  askNow(listener: () => void): () => void;
  /** Runs a short query at a node, on the monitor's connection. Rejects if the monitor is not logged in there. */
  ask(node: string, sql: string, values?: readonly unknown[]): Promise<Record<string, unknown>[]>;
  /** The set of log-ins (`borrowedLogins`) may have changed. */
  loginsChanged(): void;
  /** A client begins to use the database. Resolves when its catalog is known, or is not expected soon. */
  use(): Promise<void>;
  start(): void;
  stop(): Promise<void>;
}
