/**
 * What the workers and the supervisor say to each other so that one worker, the lead, resizes the pools of all
 * (worker-resizing.ts, resizes.ts). Types only.
 */
import type { ResizeReason } from '../pool/types.ts';
import type { LeasedPool } from '../sizing/lease-types.ts';
import type { SamplesOfWorker, WorkerSample } from '../sizing/merged-samples.ts';

/** The figures of all workers since they were asked last. */
export interface GatheredSamples {
  /** The sizes that operators have set: a decision from these samples is void if they have set others since. */
  readonly version: number;
  readonly workers: readonly SamplesOfWorker[];
  /** False: a worker has not answered. */
  readonly isComplete: boolean;
}

export interface DecidedResize {
  readonly pool: LeasedPool;
  readonly from: number;
  readonly to: number;
  readonly reason: ResizeReason;
  readonly why: string;
}

/** A pool that is to have so many connections open ahead of its load. */
export interface WarmPool {
  readonly pool: LeasedPool;
  readonly count: number;
}

export interface ResizeTopicsOfWorker {
  /** Answered with undefined if the worker does not lead (any more). */
  readonly gatherSamples: { readonly body: { readonly term: number }; readonly reply: GatheredSamples | undefined };
  readonly resizePools: {
    readonly body: { readonly term: number; readonly version: number; readonly resizes: readonly DecidedResize[] };
    readonly reply: void;
  };
  /** All that are to be warm; said again with each decision, so that nobody has to remember it. */
  readonly warmPools: {
    readonly body: { readonly term: number; readonly pools: readonly WarmPool[] };
    readonly reply: void;
  };
}

export interface ResizeTopicsOfSupervisor {
  readonly takeSamples: { readonly body: undefined; readonly reply: readonly WorkerSample[] };
}
