/**
 * Sends a replica off the field after a run of transport failures that its probes do not explain, for a while that
 * grows each time. Never more than half of the replicas, never the last usable one. Used by assess.ts.
 */

export interface EjectionState {
  failuresInRow: number;
  ejections: number;
  /** Monotonic ms; 0 = never ejected. */
  untilMs: number;
}

export const FAILURES_TO_EJECT = 5;
export const EJECTION_MS = 30_000;
/** A replica that behaved so long starts again from the shortest ejection. */
const FORGIVEN_AFTER_MS = 600_000;

export const newEjectionState = (): EjectionState => ({ failuresInRow: 0, ejections: 0, untilMs: 0 });

export const isEjected = (state: EjectionState, nowMs: number): boolean => state.untilMs > nowMs;

/** The node's own probe failed as well: it was down, and whatever failed there was no sign of anything else. */
export function explain(state: EjectionState, nowMs: number): void {
  state.failuresInRow = 0;
  if (!isEjected(state, nowMs)) return;
  state.untilMs = 0;
  state.ejections--;
}

/**
 * Notes one failure of a replica; true if it is ejected by it.
 * @param ejectedNow how many of all `replicaCount` replicas are ejected; @param usableOthers how many others can take reads.
 */
export function noteFailure(
  state: EjectionState,
  nowMs: number,
  replicaCount: number,
  ejectedNow: number,
  usableOthers: number,
): boolean {
  state.failuresInRow++;
  if (state.failuresInRow < FAILURES_TO_EJECT || isEjected(state, nowMs)) return false;
  if (ejectedNow + 1 > Math.floor(replicaCount / 2) || usableOthers === 0) return false;
  if (nowMs - state.untilMs > FORGIVEN_AFTER_MS) state.ejections = 0;
  state.ejections++;
  state.failuresInRow = 0;
  state.untilMs = nowMs + EJECTION_MS * state.ejections;
  return true;
}
