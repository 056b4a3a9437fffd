/**
 * What a supervisor and the next one say to each other while the workers are replaced, and the state that goes over at the
 * end. Both may be of different versions: a supervisor that does not understand the format of the other refuses. Types, and
 * the number of the format.
 */
import type { RestartRow } from '../console/sources.ts';
import type { Envelope } from './channel.ts';
import type { FleetState } from './fleet-types.ts';
import type { ForAllState, WorkerForAll } from './for-all.ts';
import type { Entry } from './ipc.ts';
import type { EndMode } from './messages.ts';
import type { SwitchboardState } from './switchboard.ts';
import type { WorkerExit } from './worker-body.ts';
import type { WorkerPost } from './worker-link.ts';
import type { ServingSince } from './worker-process.ts';

/** Of the messages here, of the state, and of what workers and supervisor say. Another one with each change that matters. */
export const successionFormat = 2;

/** To the next supervisor. `worker`: a number that the sender has given. */
export type ToSuccessor =
  | { readonly do: 'fork'; readonly worker: number; readonly post: WorkerPost }
  | { readonly do: 'kill'; readonly worker: number }
  | { readonly do: 'envelope'; readonly worker: number; readonly envelope: Envelope }
  /** The socket of a client travels beside these two. */
  | { readonly do: 'socket'; readonly worker: number; readonly entry: Entry }
  | { readonly do: 'moved'; readonly worker: number; readonly packed: unknown }
  /** Hold what workers say, but not their answers. */
  | { readonly do: 'freeze' }
  | { readonly do: 'thaw' }
  | { readonly do: 'take over'; readonly state: SupervisorState }
  /** It was told so while the other took over. */
  | { readonly do: 'shut down'; readonly mode: EndMode }
  /** It is not needed. */
  | { readonly do: 'end' };

/** From the next supervisor. */
export type FromSuccessor =
  /** `kept`: changed settings that stay as they are until Weir is started anew. */
  | { readonly did: 'start'; readonly format: number; readonly kept: readonly string[] }
  | { readonly did: 'fork'; readonly worker: number; readonly pid: number }
  | { readonly did: 'envelope'; readonly worker: number; readonly envelope: Envelope }
  /** The socket of a client travels beside these two. */
  | { readonly did: 'moved'; readonly worker: number; readonly packed: unknown }
  | { readonly did: 'return'; readonly worker: number; readonly entry: Entry }
  | { readonly did: 'write'; readonly worker: number; readonly chunk: Uint8Array }
  | { readonly did: 'close'; readonly worker: number }
  | { readonly did: 'exit'; readonly worker: number; readonly exit: WorkerExit }
  | { readonly did: 'freeze' }
  | { readonly did: 'take over' }
  | { readonly did: 'refuse'; readonly why: string };

/** All that a supervisor knows. Times are of the clock of the machine. Survives a structured clone. */
export interface SupervisorState {
  readonly workers: readonly WorkerState[];
  readonly fleet: FleetState;
  readonly forAll: ForAllState;
  readonly switchboard: SwitchboardState;
  readonly restarts: readonly RestartRow[];
}

export interface WorkerState {
  /** As in ToSuccessor. */
  readonly worker: number;
  readonly since: ServingSince;
  readonly forAll: WorkerForAll;
}
