/**
 * What supervisor.ts needs of the process that it runs in. Types only.
 */
import type { ChildProcess } from 'node:child_process';
import type { Config } from '../config/config.ts';
import type { Log } from '../observability/types.ts';
import type { PassedFd } from '../systemd/open-sockets.ts';
import type { PassedListener } from './listening.ts';
import type { SupervisorState } from './succession-messages.ts';
import type { StartsSuccessor } from './supervisor-ports.ts';
import type { WorkerPost } from './worker-link.ts';

export interface SupervisorOptions {
  readonly config: Config;
  /** How many there are. */
  readonly workers: number;
  /** Sockets that systemd has opened. */
  readonly passedFds: readonly PassedFd[];
  readonly log: Log;
  /** The clock of the machine: times go from one supervisor to the next. */
  readonly nowMs: () => number;
  /** Starts the process of a worker, with IPC. */
  fork(post: WorkerPost): ChildProcess;
  /** Starts the next supervisor. */
  readonly parent: StartsSuccessor;
  /** What workers write to their standard error. */
  says(chunk: Buffer): void;
  unexpected(error: unknown): void;
  /** The supervisor before: its state and its listening sockets. */
  readonly before?: Before;
}

export interface Before {
  readonly state: SupervisorState;
  readonly listeners: readonly (PassedListener & { readonly fd: number })[];
}
