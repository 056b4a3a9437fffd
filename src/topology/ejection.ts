/**
 * Ejects a replica after FAILURES_TO_EJECT transport failures in a row while its probes still succeed. Each ejection
 * lasts longer than the one before. Never ejects more than half of the replicas, nor the last usable one. Used by
 * assess.ts.
 */

export interface EjectionState {
  failuresInRow: number;
  ejections: number;
  /** Monotonic ms; 0 = never ejected. */
  untilMs: number;
}

export const FAILURES_TO_EJECT = 5;
export const EJECTION_MS = 30_000;
/** After this time without an ejection, the next one has the shortest duration again. */
const FORGIVEN_AFTER_MS = 600_000;

export const newEjectionState = (): EjectionState => ({ failuresInRow: 0, ejections: 0, untilMs: 0 });

export const isEjected = (state: EjectionState, nowMs: number): boolean => state.untilMs > nowMs;

/**
 * The node's probe failed as well, so the node was down: that explains the failures, and they do not count. Revokes a
 * current ejection.
 */
export function explain(state: EjectionState, nowMs: number): void {
  state.failuresInRow = 0;
  if (!isEjected(state, nowMs)) return;
  state.untilMs = 0;
  state.ejections--;
}

/**
 * Counts one failure of a replica.
 * @param ejectedNow how many of all `replicaCount` replicas are ejected
 * @param usableOthers how many other replicas can take reads
 * @returns true if this failure ejects the replica
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
