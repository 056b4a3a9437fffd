/**
 * What the console's part of the supervisor needs to know of its workers. Types only.
 */
import type { ShownWorkerState } from '../observability/types.ts';
import type { WorkerChannel } from './messages.ts';

/** One process. A worker that is started again is another object with the same number. */
export interface KnownWorker {
  readonly number: number;
  readonly pid: number;
  readonly state: ShownWorkerState;
  /** Monotonic ms. It has read its configuration after that. */
  readonly startedAtMs: number;
  readonly channel: WorkerChannel;
}

/** A worker that carries out what operators want. */
export interface Member {
  readonly worker: KnownWorker;
  /** Resolves when it has done what operators had set before it began. */
  caughtUp: Promise<void>;
}
