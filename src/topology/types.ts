/**
 * What the rest of Weir knows about the nodes of one database: immutable snapshots, one mutable load cell per node.
 * Made by topology/topology.ts; read by routing/, session/, console/, sizing/. Types only.
 */
import type { NodeConfig } from '../config/config.ts';
import type { Catalog } from '../catalog/types.ts';

export type NodeRole = 'primary' | 'replica' | 'unknown';

/** Live figures of one node, written by sessions, read by routing. One object for the life of the process. */
export interface NodeLoad {
  /** Requests sent and not yet answered. */
  outstanding: number;
  /** Peak-EWMA of (latency / the template's own baseline); 1 = as fast as ever. */
  ewma: number;
  /** Monotonic ms of the last sample. */
  ewmaAtMs: number;
  /** Of the requests outstanding, reads that fell back to this primary for want of a replica. */
  fallbackReads: number;
  /** How many of those there may be: half of what this database's pools may grow to on the node. */
  fallbackRoom: number;
}

/** One node as the monitor last saw it. Immutable; `load` is the shared mutable cell. */
export interface NodeState {
  readonly config: NodeConfig;
  readonly name: string;
  readonly role: NodeRole;
  /** Answers probes, is on the right timeline and has been heard of lately. */
  readonly isUp: boolean;
  /** Operators said DRAIN. */
  readonly isDraining: boolean;
  /** Monotonic ms until which the node is ejected; 0 = not. */
  readonly ejectedUntilMs: number;
  /** Sound lower bound of what a replica has replayed (LSN as a number); for a primary its newest insert LSN seen. */
  readonly lsn: number;
  /** Replica: upper bound of its lag by the clockless estimator, ms; primary: 0; unknown: Infinity. */
  readonly lagMs: number;
  readonly lagBytes: number;
  /** Replica: monotonic ms of the moment whose state it is known to have; its lag is at most now minus this. */
  readonly caughtUpAtMs?: number;
  /** Replica: above max_replica_lag, and not back under 80 % of it since. Absent: decide by `lagMs`. */
  readonly isLagging?: boolean;
  /** Replica: it was lost and came back, and is not yet known to be as far as it was: no session may rely on it. */
  readonly isCatchingUp?: boolean;
  /** Timeline it is proven to be on; absent: not known. */
  readonly timeline?: number;
  /** 0.1 -> 1 in the 30 s after coming back. */
  readonly slowStart: number;
  /** Last problem in words, for SHOW NODES. */
  readonly problem: string | undefined;
  /** What the server has to spare for us: max_connections less its reserves; 0 = not known yet. */
  readonly connectionLimit: number;
  readonly serverVersion: string | undefined;
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

/** Number of the LSN probe that will tell the primary's insert LSN *after* this moment. */
export type Tick = number;

export interface LsnTicker {
  /** The tick for "now": the number of the next probe to be sent. Asks for that probe to happen soon. */
  next(): Tick;
  /**
   * LSN of the first finished probe with at least this number; undefined: not known yet; Infinity: primary only (older
   * epoch). Whoever gets Infinity may take a new tick in its place: what survived of the old timeline lies before it.
   */
  lsnOf(tick: Tick): number | undefined;
}

/**
 * Numbers the comparisons of the database's catalog with what Weir knows of it. One that begins after a write, and finds
 * nothing new, proves that the write did what Weir thinks: no trigger had been made around Weir.
 */
export interface SchemaClock {
  /** Number of the comparison that begins next. */
  readonly next: number;
  /** Newest one that found nothing new on the primary, or whose news everybody has been told. */
  readonly confirmed: number;
  /** Somebody waits for the next one. */
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
  /** When it had logged in, monotonic ms. */
  readonly connectedAtMs: number;
}

/** One database's nodes. Owned by the app, one per database that clients use. */
export interface Topology {
  readonly database: string;
  readonly ticker: LsnTicker;
  readonly schema: SchemaClock;
  /** The first look around is over: reads can be told and replicas be used, or will not be so soon. Stays true. */
  readonly isSettled: boolean;
  /** What is wrong with the database itself, though its nodes may be up: it does not exist, its catalog cannot be read. */
  readonly problem?: string | undefined;
  snapshot(): TopologySnapshot;
  /** Undefined until it was read once (then nothing is provably a read). A new object after each change. */
  catalog(): Catalog | undefined;
  /** The last one that was read; behind DDL it is not true any more. */
  lastCatalog(): Catalog | undefined;
  /** A Weir client ran DDL, GRANT or the like: read the catalog again; until then `catalog()` is undefined. */
  catalogChanged(): void;
  /** A transport-level failure of a pooled connection (never an SQL error, never a full pool). */
  reportFailure(node: string, failure: NodeFailure, detail: string): void;
  reportSuccess(node: string): void;
  /** A server said 25006 or was otherwise found to have another role: probe at once. */
  suspectRole(node: string): void;
  setDraining(node: string, isDraining: boolean): boolean;
  /**
   * The connection to a backend was lost in the middle of a write: resolves when that is committed, or never will be. While
   * nobody can tell it does not resolve.
   */
  whenGone(backend: LostBackend): Promise<void>;
  /** The same for a backend of another Weir, which may know the server by another name: then the primary is asked. */
  readonly whenForeignGone: (backend: Omit<LostBackend, 'connectedAtMs'>) => Promise<void>;
  /** Called when a role, somebody's health or eligibility changed (not for each LSN while a primary is there to read from: `snapshot()` has the latest). Returns the unsubscribe. */
  onChange(listener: (snapshot: TopologySnapshot) => void): () => void;
  /** Asks the nodes at once, and again, as long as somebody listens; tells of each answer. Returns how to leave. */
  askNow(listener: () => void): () => void;
  /** One small question to a node, on the connection of the monitor. Rejects where nobody is logged in. */
  ask(node: string, sql: string, values?: readonly unknown[]): Promise<Record<string, unknown>[]>;
  /** There may be something new to log in with (`borrowedLogins`). */
  loginsChanged(): void;
  /** Somebody comes to use the database. Resolves when its catalog is known, or will not be soon. */
  use(): Promise<void>;
  start(): void;
  stop(): Promise<void>;
}
