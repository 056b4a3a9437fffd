/**
 * The circuit breaker of one node: open while the monitor finds it down, or after too many transport failures of statements
 * and log-ins although its probes are answered (the node is "ejected" then). Errors that a server sends never count. Each
 * ejection lasts longer than the one before. The states are in circuit-state.ts. Used by assess.ts and node-state.ts.
 */
import { nextCircuitState, type CircuitEvent } from './circuit-state.ts';
import { OutcomeWindow } from './outcome-window.ts';
import type { CircuitState, NodeLoad } from './types.ts';

export interface Circuit {
  state: CircuitState;
  /** Since when it has this state, monotonic ms, and why in words. */
  sinceMs: number;
  why: string;
  /** It was opened because probes were not answered. */
  wasSilent: boolean;
  failuresInRow: number;
  readonly outcomes: OutcomeWindow;
  /** NodeLoad.answered when it was last looked at, and when the trials began. */
  seenAnswers: number;
  answersBefore: number;
  /** The last failed log-in, monotonic ms, and why. */
  loginFailure: { readonly atMs: number; readonly detail: string } | undefined;
  ejections: number;
  /** Monotonic ms until which too many failures keep it open; 0 = they do not. */
  untilMs: number;
}

export const FAILURES_TO_EJECT = 5;
export const EJECTION_MS = 30_000;
/** No other node can do the work of the primary: the next trial is soon. */
const PRIMARY_MS = { first: 1_000, longest: 10_000 };
/** So many outcomes must be known before the share of failures counts, and the share. */
const OUTCOMES_TO_JUDGE = 20;
const FAILED_SHARE = 0.5;
/** So many answers close a circuit that is half-open. */
const TRIALS_TO_CLOSE = 3;
/** One with less to do is closed after this time without a failure. */
const TRIAL_LASTS_MS = 60_000;
/** After this time without an ejection, the next one has the shortest duration again. */
const FORGIVEN_AFTER_MS = 600_000;

export const newCircuit = (nowMs: number): Circuit => ({
  state: 'closed',
  sinceMs: nowMs,
  why: 'nothing has failed',
  wasSilent: false,
  failuresInRow: 0,
  outcomes: new OutcomeWindow(),
  seenAnswers: 0,
  answersBefore: 0,
  loginFailure: undefined,
  ejections: 0,
  untilMs: 0,
});

export const isEjected = (circuit: Circuit, nowMs: number): boolean => circuit.untilMs > nowMs;

function move(circuit: Circuit, event: CircuitEvent, why: string, nowMs: number): void {
  const next = nextCircuitState(circuit.state, event);
  if (next === circuit.state) return;
  Object.assign(circuit, { state: next, sinceMs: nowMs, why });
  circuit.answersBefore = circuit.seenAnswers;
}

/** Takes over what the node has answered since the last call. */
export function noteAnswers(circuit: Circuit, { answered }: Pick<NodeLoad, 'answered'>, nowMs: number): void {
  const answers = answered - circuit.seenAnswers;
  circuit.seenAnswers = answered;
  if (answers <= 0) return;
  circuit.failuresInRow = 0;
  circuit.outcomes.add(nowMs, answers, 0);
}

/**
 * The node's probe failed as well, so the node was down: that explains the failures, and they do not count. Revokes a
 * current ejection.
 */
export function explain(circuit: Circuit, nowMs: number): void {
  circuit.failuresInRow = 0;
  circuit.outcomes.clear();
  circuit.loginFailure = undefined;
  if (isEjected(circuit, nowMs)) circuit.ejections--;
  circuit.untilMs = 0;
}

export function noteFailure(circuit: Circuit, nowMs: number): void {
  circuit.failuresInRow++;
  circuit.outcomes.add(nowMs, 0, 1);
}

/** Why the failures are too many, in words; undefined: they are not. */
export function tooManyFailures(circuit: Circuit, nowMs: number): string | undefined {
  if (circuit.state === 'half-open') return circuit.failuresInRow > 0 ? 'a trial has failed' : undefined;
  if (circuit.failuresInRow >= FAILURES_TO_EJECT) return `${circuit.failuresInRow} transport failures in a row`;
  const { failed, all } = circuit.outcomes.counts(nowMs);
  if (all < OUTCOMES_TO_JUDGE || failed < all * FAILED_SHARE) return undefined;
  return `${failed} of ${all} statements and log-ins of the last 10 s met a transport failure`;
}

/** Opens it although the node answers probes. */
export function eject(circuit: Circuit, why: string, isPrimary: boolean, nowMs: number): void {
  if (nowMs - circuit.untilMs > FORGIVEN_AFTER_MS) circuit.ejections = 0;
  circuit.ejections++;
  circuit.failuresInRow = 0;
  circuit.outcomes.clear();
  circuit.loginFailure = undefined;
  const lastsMs = isPrimary
    ? Math.min(PRIMARY_MS.longest, PRIMARY_MS.first * circuit.ejections)
    : EJECTION_MS * circuit.ejections;
  circuit.untilMs = nowMs + lastsMs;
  const event = circuit.state === 'half-open' ? 'trial failed' : 'too many failures';
  move(circuit, event, `${why}; next trial in ${Math.round(lastsMs / 1000)} s`, nowMs);
}

/** What the monitor knows of the node now. */
export interface Seen {
  readonly isPrimary: boolean;
  readonly isUp: boolean;
  /** Its probes fail or are not answered: why. */
  readonly failure: string | undefined;
  readonly isSilent: boolean;
  /** It was away only for a moment, and was not silent: an administrator has terminated the connection of the probes. */
  readonly wasShort: boolean;
}

/** Follows the monitor and the time. */
export function follow(circuit: Circuit, seen: Seen, nowMs: number): void {
  if (seen.failure !== undefined) {
    circuit.untilMs = 0;
    circuit.wasSilent = seen.isSilent;
    move(circuit, 'node down', seen.failure, nowMs);
  } else if (circuit.state === 'open' && circuit.untilMs === 0) {
    if (!seen.isUp) return;
    const isTrusted = seen.isPrimary || (seen.wasShort && !circuit.wasSilent);
    move(circuit, isTrusted ? 'node up' : 'node back', 'it answers probes again', nowMs);
  } else if (circuit.state === 'open' && !isEjected(circuit, nowMs)) {
    move(circuit, 'time is up', 'the time without work is over', nowMs);
  } else if (circuit.seenAnswers - circuit.answersBefore >= TRIALS_TO_CLOSE) {
    move(circuit, 'trials answered', `${TRIALS_TO_CLOSE} statements or log-ins were answered`, nowMs);
  } else if (nowMs - circuit.sinceMs > TRIAL_LASTS_MS) {
    move(circuit, 'nothing failed', 'nothing has failed for a minute', nowMs);
  }
}

/** The node has become the primary: what it was as a replica says nothing. */
export function takesOffice(circuit: Circuit, nowMs: number): void {
  explain(circuit, nowMs);
  move(circuit, 'node up', 'it is the primary now', nowMs);
}
