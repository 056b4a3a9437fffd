/**
 * Whether a client reads what it is sent: called by the session about once a second, so that it is known at once when memory is
 * short (request/held.ts).
 */
import type { Wire } from '../net/wire.ts';

/** How far a client has read what it was sent. */
export interface Taking {
  readonly wire: Pick<Wire, 'takenBytes' | 'unsentBytes'>;
  takenBytes: number;
  /** Seconds in which it has taken nothing of what waits for it. */
  untakenSeconds: number;
}

export function noteTaken(taking: Taking): void {
  const { takenBytes, unsentBytes } = taking.wire;
  taking.untakenSeconds = unsentBytes === 0 || takenBytes !== taking.takenBytes ? 0 : taking.untakenSeconds + 1;
  taking.takenBytes = takenBytes;
}
