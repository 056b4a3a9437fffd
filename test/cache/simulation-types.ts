/**
 * The vocabulary of the simulation (simulation.ts): what may go wrong in a world, which rule is left out, and what its
 * sessions are doing.
 */
import type { CacheParts } from '../../src/cache/parts.ts';
import type { Flight, ResultCache, SessionFreshness, WriteGuard } from '../../src/cache/types.ts';
import type { ProbeTicker } from '../../src/topology/ticker.ts';
import type { WorkerEnd } from '../../src/workers/stamps.ts';
import type { WorkerChannel } from '../../src/workers/messages.ts';
import type { StepWire } from '../workers/step-wire.ts';
import type { MemoryPort } from './memory-redis.ts';
import { prefix } from './support.ts';

export interface Scenario {
  /** 1: without Redis; 2: two Weirs with it; 3: the workers of one Weir, over channels to their supervisor. */
  readonly weirs: 1 | 2 | 3;
  readonly steps: number;
  /** The second Weir loses its connection to Redis now and then; it does not write then, it only reads. */
  readonly losesReader?: boolean;
  /** Anybody does, also in the middle of a write. */
  readonly losesAnybody?: boolean;
  /** Who is cut off stays so for long. */
  readonly staysAway?: boolean;
  /** Now and then messages are lost without a trace. */
  readonly dropsMessages?: boolean;
  /** Now and then nothing arrives on a subscription for long, while commands are carried out and answered. */
  readonly mutesMessages?: boolean;
  /** Workers only: now and then nothing goes through a channel for a while. */
  readonly stallsChannels?: boolean;
  /** Workers only: now and then one is killed, and another takes its place. */
  readonly kills?: boolean;
  /** Workers only: now and then another supervisor goes on with the state of the one before. */
  readonly succeeds?: boolean;
}

/** A rule taken out. Those of the session are played by the simulation, those of the cache by its parts. */
export interface Mutant {
  readonly parts?: Partial<CacheParts>;
  readonly asksForStampsAfterQuery?: boolean;
  readonly neverCloses?: boolean;
  readonly bumpsBeforeCommit?: boolean;
  readonly ignoresNeededLsn?: boolean;
  readonly takesUnknownForRolledBack?: boolean;
}

export const tables = ['users', 'orders'] as const;
export type Table = (typeof tables)[number];
export type Values = Record<Table, number>;
export const tagOf: Record<Table, string> = { users: `${prefix}r1`, orders: `${prefix}r2` };
export interface Query {
  readonly sql: string;
  readonly reads: readonly Table[];
  readonly tags: readonly string[];
}

export const queries: readonly Query[] = [
  { sql: 'users 1', reads: ['users'], tags: [tagOf.users] },
  { sql: 'users 2', reads: ['users'], tags: [tagOf.users] },
  { sql: 'orders', reads: ['orders'], tags: [tagOf.orders] },
  { sql: 'both', reads: tables, tags: [tagOf.users, tagOf.orders] },
];

export interface Weir {
  readonly cache: ResultCache;
  readonly ticks: ProbeTicker;
  readonly port: MemoryPort | undefined;
  readonly worker: { readonly wire: StepWire; end: WorkerEnd; supervisor: WorkerChannel } | undefined;
  probe: number | undefined;
}

export interface Write {
  readonly table: Table;
  readonly value: number;
  readonly guard: WriteGuard | undefined;
  readonly processId: number;
  /** It may be sent to the database. */
  isAnnounced: boolean;
  state: 'sent' | 'visible' | 'lost';
}

export interface Read {
  readonly query: Query;
  readonly flight: Flight | undefined;
  readonly onReplica: boolean;
  readonly demand: Values;
  seen: Values | undefined;
}

export interface Session {
  readonly name: string;
  /** The client of a worker that was killed: nobody hears what it gets. */
  isGone: boolean;
  readonly weir: Weir;
  readonly zone: string;
  readonly freshness: SessionFreshness;
  readonly written: Values;
  readonly read: Values;
  ownTick: number;
  moveTick: number;
  readonly isStrict: boolean;
  state: 'idle' | 'waiting' | Read | Write;
}

/** What a write has left behind for everybody, and when that was acknowledged. */
export interface Acknowledged {
  readonly table: Table;
  readonly value: number;
  readonly atMs: number;
}

export const zero = (): Values => ({ users: 0, orders: 0 });

export function random(seed: number): () => number {
  let state = (seed * 2_654_435_761 + 1) >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** What the worlds came across: a check of nothing would find nothing. */
export interface Tally {
  hits: number;
  hitsSecondLevel: number;
  stores: number;
  writes: number;
  kills: number;
  inherited: number;
}

export const emptyTally = (): Tally => ({ hits: 0, hitsSecondLevel: 0, stores: 0, writes: 0, kills: 0, inherited: 0 });
