/**
 * What the rest of Weir sees of the protection of memory: its figures, the gate at which new clients wait, and what it asks of those
 * that hold memory. Types, and the words that metrics and SHOW MEMORY use.
 */

/** From best to worst. */
export const memoryStates = ['normal', 'tight', 'critical'] as const;
export type MemoryState = (typeof memoryStates)[number];

/** What a client was ended for: answers that it does not read, a text under way, or prepared statements while it does nothing. */
export const shedReasons = ['unread', 'statement', 'prepared'] as const;
export type ShedReason = (typeof shedReasons)[number];

/** What a process shows of its memory; or all workers together. */
export interface MemoryFigures {
  readonly state: MemoryState;
  /** Of what it may have, the part in use: of memory or of the JavaScript heap, whichever is closer to its limit. */
  readonly share: number;
  readonly usedBytes: number;
  readonly limitBytes: number;
  /** Where the limit comes from, in words. */
  readonly limitFrom: string;
  readonly residentBytes: number;
  readonly heapUsedBytes: number;
  readonly heapLimitBytes: number;
  /** Of their size, the part that caches may have at present. */
  readonly cacheShare: number;
  /** New clients that wait for memory. */
  readonly waitingClients: number;
  readonly shedClients: Readonly<Record<ShedReason, number>>;
  /** New clients that gave up or were refused after their wait. */
  readonly refusedClients: number;
}

/** Memory at one moment, in bytes. */
export interface Reading {
  /** As the operating system counts it. */
  readonly residentBytes: number;
  /** The JavaScript heap, and the buffers outside of it; garbage included that was not collected yet. */
  readonly heapUsedBytes: number;
  readonly bufferBytes: number;
  readonly heapLimitBytes: number;
}

/** What this process may have. */
export interface Limit {
  readonly bytes: number;
  /** Where that comes from, in words. */
  readonly from: string;
}

/** A client that can be made to give back memory, by ending it. */
export interface Holder {
  readonly reason: ShedReason;
  readonly bytes: number;
  /** A transaction is open, whose work would be lost. */
  readonly isInTransaction: boolean;
  shed(): void;
}

/** Something that can do with less memory. Never throws. */
export interface Cache {
  /** @param share of its full size, from 0 to 1. @returns the bytes that it has given back, roughly */
  keepShare(share: number): number;
}

/** Where new clients wait while memory is short. */
export interface MemoryGate {
  readonly isOpen: boolean;
  /** Calls `admit` once, when there is memory. @returns gives up the wait */
  wait(admit: () => void): () => void;
  /** A client was refused, because its time was over. */
  refused(): void;
}
