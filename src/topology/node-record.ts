/**
 * What assess.ts remembers of one node between probes, and the rules for coming up and going down. Mutable; used only
 * by assess.ts and node-state.ts. All other code sees NodeState.
 */
import type { NodeConfig } from '../config/config.ts';
import { newCircuit } from './circuit.ts';
import type { Circuit } from './circuit.ts';
import type { Contender } from './elect.ts';
import type { NodeIdentity, ProbeFailure, ProbeSample } from './samples.ts';
import { NO_LOGIN } from './server-connector.ts';
import type { NodeLoad, NodeState, Tick } from './types.ts';

export interface NodeRecord {
  /** A reload may change its weight and zone. */
  config: NodeConfig;
  readonly load: NodeLoad;
  readonly circuit: Circuit;
  readonly bornAtMs: number;
  hasTried: boolean;
  identity: NodeIdentity | undefined;
  /** The last answer on the current connection. */
  sample: ProbeSample | undefined;
  answeredAtMs: number;
  /** When another process began to probe it for this one; -Infinity: never. */
  movedAtMs: number;
  isSilent: boolean;
  /** Set while there is no connection. */
  failure: ProbeFailure | undefined;
  /** Since when (monotonic ms), without interruption, the host has reported that no server is running. */
  stoppedSinceMs: number | undefined;
  timeline: number | undefined;
  lsn: number;
  caughtUpAtMs: number;
  isLagging: boolean;
  catchUpTick: Tick | undefined;
  isDraining: boolean;
  isUp: boolean;
  wasUp: boolean;
  downSinceMs: number;
  slowStartFromMs: number;
}

const SLOW_START_FLOOR = 0.1;
/**
 * After an absence shorter than this (an administrator terminated the probe connection) the server's caches are still
 * warm: no slow start.
 */
const SHORT_ABSENCE_MS = 1000;
/** A node first seen up this soon after Weir's start was probably up before: no slow start. */
const OWN_START_MS = 10_000;

export function newNodeRecord(config: NodeConfig, nowMs: number): NodeRecord {
  return {
    config,
    load: {
      outstanding: 0,
      ewma: 1,
      ewmaAtMs: nowMs,
      fallbackReads: 0,
      fallbackRoom: Infinity,
      answered: 0,
      trials: 0,
    },
    circuit: newCircuit(nowMs),
    bornAtMs: nowMs,
    hasTried: false,
    identity: undefined,
    sample: undefined,
    answeredAtMs: nowMs,
    movedAtMs: -Infinity,
    isSilent: false,
    failure: undefined,
    stoppedSinceMs: undefined,
    timeline: undefined,
    lsn: 0,
    caughtUpAtMs: -Infinity,
    isLagging: true,
    catchUpTick: undefined,
    isDraining: false,
    isUp: false,
    wasUp: false,
    downSinceMs: nowMs,
    slowStartFromMs: -Infinity,
  };
}

/**
 * Of a node that is added while Weir runs. It begins slowly, and with what the primary has now: its name may have been that of
 * a server that was further.
 */
export function newcomer(config: NodeConfig, catchUpTick: Tick, nowMs: number): NodeRecord {
  return { ...newNodeRecord(config, nowMs), downSinceMs: -Infinity, catchUpTick };
}

export function contenderOf({ config, sample, timeline, identity }: NodeRecord): Contender {
  const { systemId, serverId, hasNoWal = false } = identity ?? {};
  return { name: config.name, isInRecovery: sample?.isInRecovery, timeline, systemId, serverId, hasNoWal };
}

export function cameUp(record: NodeRecord, nowMs: number): void {
  const absence = nowMs - record.downSinceMs;
  if (absence > (record.wasUp ? SHORT_ABSENCE_MS : OWN_START_MS)) record.slowStartFromMs = nowMs;
  record.isUp = true;
  record.wasUp = true;
}

/** It came up a moment after it had gone down. */
export function wasShortlyAway({ wasUp, downSinceMs, bornAtMs }: NodeRecord, nowMs: number): boolean {
  return nowMs - downSinceMs <= SHORT_ABSENCE_MS || (!wasUp && nowMs - bornAtMs <= OWN_START_MS);
}

export function wentDown(record: NodeRecord, nowMs: number): void {
  record.isUp = false;
  record.downSinceMs = nowMs;
}

/**
 * @returns the share of its normal load: rises from 0.1 to 1 in `durationMs` after the node came up or its ejection ended
 */
export function slowStartAt(record: NodeRecord, durationMs: number, nowMs: number): number {
  if (durationMs === 0) return 1;
  const from = Math.max(record.slowStartFromMs, record.circuit.untilMs === 0 ? -Infinity : record.circuit.untilMs);
  const share = (nowMs - from) / durationMs;
  return Math.min(1, SLOW_START_FLOOR + (1 - SLOW_START_FLOOR) * Math.max(0, share));
}

/** If a node has not answered within this time, the log says that it has a problem. */
const ANSWER_EXPECTED_MS = 10_000;

/** It was asked and has neither answered nor failed since; also if another process asks it now. */
export function isAnswerExpected(record: NodeRecord, nowMs: number): boolean {
  if (record.failure !== undefined) return false;
  const hasMoved = record.movedAtMs >= record.answeredAtMs;
  if (record.sample !== undefined && !(record.isSilent && hasMoved)) return false;
  return nowMs - Math.max(record.movedAtMs, record.answeredAtMs) < ANSWER_EXPECTED_MS;
}

/** After this, a process that has begun to probe for others knows all log-ins that they know. */
const LOGINS_EXPECTED_MS = 3_000;

/** It is asked by another process than before, to which no log-in is known yet. */
export function isLoginExpected({ identity, failure, movedAtMs }: NodeRecord, nowMs: number): boolean {
  const hasNone = identity?.isMute === true || failure?.problem === NO_LOGIN;
  return hasNone && nowMs - movedAtMs < LOGINS_EXPECTED_MS;
}

/** @returns true if the two differ at most in positions, lag figures and the slow start */
export function isSameState(a: NodeState | undefined, b: NodeState): boolean {
  return (
    a !== undefined &&
    a.role === b.role &&
    a.isUp === b.isUp &&
    a.isDraining === b.isDraining &&
    a.ejectedUntilMs === b.ejectedUntilMs &&
    a.circuit === b.circuit &&
    a.circuitSinceMs === b.circuitSinceMs &&
    a.isLagging === b.isLagging &&
    a.isCatchingUp === b.isCatchingUp &&
    a.isUnheard === b.isUnheard &&
    a.isLagUnproven === b.isLagUnproven &&
    a.problem === b.problem &&
    a.connectionLimit === b.connectionLimit &&
    a.serverVersion === b.serverVersion
  );
}
