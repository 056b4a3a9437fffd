/**
 * What is said about leases of places between the supervisor and the workers: pools, their load, and what the supervisor
 * decides (leases.ts). A place is the right to one server connection of one pool. Types only.
 */
import type { Shortage } from '../pool/budget-types.ts';
import type { ResizeRecord } from '../pool/types.ts';

/** A pool of the whole Weir. */
export interface LeasedPool {
  readonly database: string;
  /** Undefined: the replication connections, which are in no pool. */
  readonly user: string | undefined;
  readonly node: string;
  /** host:port */
  readonly server: string;
  /** Of replication connections: for whose max_user_connections they count. */
  readonly countsFor?: string;
}

export interface LeaseSize {
  readonly limit: number;
  readonly min: number;
}

/** What a worker has and wants in a pool. */
export interface LeaseLoad {
  /** Connections that its clients use or wait for: the most of the last moments, at most the limit of the pool. */
  readonly need: number;
  /** Places of connections that are being closed. */
  readonly closing: number;
  /** Connections that it would open now for clients, and for its part of the minimum. */
  readonly wanted: number;
  readonly wantedForMin: number;
}

export type LeaseDecision = LeaseDecisionKind & { readonly worker: number; readonly pool: LeasedPool };

type LeaseDecisionKind =
  | { readonly kind: 'grant'; readonly count: number }
  /**
   * The worker closes connections until it has `keep`: idle ones; with `isNext` also those that come back while clients
   * wait. Infinity: it need not close any.
   */
  | { readonly kind: 'recall'; readonly keep: number; readonly isNext: boolean }
  /** Its part of the minimum of the pool. */
  | { readonly kind: 'floor'; readonly count: number }
  /** Why it does not get what it wants. */
  | { readonly kind: 'short'; readonly level: Shortage }
  /** The pool has another size than this worker believes, since `resize` if that is known. */
  | { readonly kind: 'size'; readonly size: LeaseSize; readonly resize: ResizeRecord | undefined };

/** What a worker says of the size of a pool. */
export interface SaidSize {
  readonly pool: LeasedPool;
  readonly size: LeaseSize;
  /** The last change of the limit in the worker. */
  readonly resize: ResizeRecord | undefined;
  /** How many decisions about sizes the worker had heard of when it said that. */
  readonly heard: number;
}

/** Reads the name of a pool as one text. */
export function leaseKey({ database, user, node, server, countsFor }: LeasedPool): string {
  return JSON.stringify([database, user ?? null, node, server, ...(countsFor === undefined ? [] : [countsFor])]);
}

/** For whose max_user_connections the connections count; undefined: for nobody's. */
export function userOf({ user, countsFor }: LeasedPool): string | undefined {
  return user ?? countsFor;
}

export function serverOfKey(key: string): string {
  return String((JSON.parse(key) as readonly unknown[])[3]);
}
