/**
 * What the brain remembers of one node between probes, and the small rules about coming and going. Mutable, private to
 * assess.ts and node-state.ts; everybody else sees NodeState.
 */
import type { NodeConfig } from '../config/config.ts';
import { newEjectionState } from './ejection.ts';
import type { EjectionState } from './ejection.ts';
import type { NodeIdentity, ProbeFailure, ProbeSample } from './samples.ts';
import type { NodeLoad, NodeState, Tick } from './types.ts';

export interface NodeRecord {
  readonly config: NodeConfig;
  readonly load: NodeLoad;
  readonly ejection: EjectionState;
  readonly bornAtMs: number;
  hasTried: boolean;
  identity: NodeIdentity | undefined;
  /** The last answer of the present connection. */
  sample: ProbeSample | undefined;
  answeredAtMs: number;
  isSilent: boolean;
  /** Set while there is no connection. */
  failure: ProbeFailure | undefined;
  /** Since when, without a break, the machine itself has said that no server is running. */
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

const SLOW_START_MS = 30_000;
const SLOW_START_FLOOR = 0.1;
/** Shorter absences than this (a probe connection cut by an administrator) leave the caches of a server warm. */
const SHORT_ABSENCE_MS = 1000;
/** Whoever is first seen so soon after our own start was probably there before us. */
const OWN_START_MS = 10_000;

export function newNodeRecord(config: NodeConfig, nowMs: number): NodeRecord {
  return {
    config,
    load: { outstanding: 0, ewma: 1, ewmaAtMs: nowMs, fallbackReads: 0, fallbackRoom: Infinity },
    ejection: newEjectionState(),
    bornAtMs: nowMs,
    hasTried: false,
    identity: undefined,
    sample: undefined,
    answeredAtMs: nowMs,
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

export function cameUp(record: NodeRecord, nowMs: number): void {
  const absence = nowMs - record.downSinceMs;
  if (absence > (record.wasUp ? SHORT_ABSENCE_MS : OWN_START_MS)) record.slowStartFromMs = nowMs;
  record.isUp = true;
  record.wasUp = true;
}

export function wentDown(record: NodeRecord, nowMs: number): void {
  record.isUp = false;
  record.downSinceMs = nowMs;
}

/** 0.1 -> 1 over 30 s after coming back from an absence or an ejection. */
export function slowStartAt(record: NodeRecord, nowMs: number): number {
  const from = Math.max(record.slowStartFromMs, record.ejection.untilMs === 0 ? -Infinity : record.ejection.untilMs);
  const share = (nowMs - from) / SLOW_START_MS;
  return Math.min(1, SLOW_START_FLOOR + (1 - SLOW_START_FLOOR) * Math.max(0, share));
}

/** Equal but for positions, lag figures and the slow start. */
export function isSameState(a: NodeState | undefined, b: NodeState): boolean {
  return (
    a !== undefined &&
    a.role === b.role &&
    a.isUp === b.isUp &&
    a.isDraining === b.isDraining &&
    a.ejectedUntilMs === b.ejectedUntilMs &&
    a.isLagging === b.isLagging &&
    a.isCatchingUp === b.isCatchingUp &&
    a.problem === b.problem &&
    a.connectionLimit === b.connectionLimit &&
    a.serverVersion === b.serverVersion
  );
}
