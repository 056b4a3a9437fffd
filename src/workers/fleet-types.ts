/**
 * What fleet.ts needs of the supervisor, and what it gives to the next one. Types only.
 */
import type { Socket } from 'node:net';
import type { Log } from '../observability/types.ts';
import type { Moved, Returned } from './ipc.ts';
import type { RestartsState } from './restarts.ts';
import type { WorkerBody } from './worker-body.ts';
import type { WorkerPlace, WorkerProcess } from './worker-process.ts';

export interface FleetOptions {
  readonly workers: number;
  readonly log: Log;
  readonly nowMs: () => number;
  /** Starts the process of a worker. */
  fork(place: WorkerPlace): WorkerBody;
  /** Called for each new process, before anything that it says is heard. @returns what to do when it has exited */
  connect(worker: WorkerProcess): () => void;
  /** Resolves when a worker that could serve may. */
  prepare(worker: WorkerProcess): Promise<void>;
  serves(worker: WorkerProcess): void;
  /** More can be given to workers than before. */
  hasRoom(): void;
  /** A worker that is replaced gives a client away. */
  moved(socket: Socket, moved: Moved): void;
  /** It gives a connection away as it came in. */
  returned(socket: Socket, returned: Returned): void;
  /** What workers write to their standard error. */
  says(chunk: Buffer): void;
  /** How long a worker that is replaced waits for its clients to come to rest. */
  emptyWithinMs(): number;
  /** How long a worker may take to end when it has been told. */
  endWithinMs(): number;
  unexpected(error: unknown): void;
  /** Of the supervisor whose place this one takes. */
  readonly state?: FleetState | undefined;
}

/** By place, in the order of their numbers; survives a structured clone. */
export type FleetState = readonly { readonly generation: number; readonly restarts: RestartsState }[];
