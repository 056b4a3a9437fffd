/**
 * What a worker asks its supervisor about rolling restarts, for its console. Answered by rolling-restart.ts. Types only.
 */
import type { BegunRestart, RestartRow } from '../console/sources.ts';

export interface RestartTopicsOfWorker {
  /** Replace all workers one by one, or join the restart that is under way. Answered when it has begun. */
  readonly restart: { readonly body: undefined; readonly reply: BegunRestart };
  /** The last restarts, the newest first. */
  readonly restarts: { readonly body: undefined; readonly reply: readonly RestartRow[] };
}
