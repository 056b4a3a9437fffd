/**
 * Turns the answers of the nodes into an immutable TopologySnapshot: which node is the primary (elect.ts), which nodes
 * are up, lag, are ejected, or are catching up. No sockets and no timers: the time is an argument. Called by
 * monitor.ts and, with scripted answers, by tests.
 */
import type { DatabaseConfig, NodeConfig } from '../config/config.ts';
import { isSameServer, rearranged, type Origins } from './changed-nodes.ts';
import { elect } from './elect.ts';
import type { Incumbent } from './elect.ts';
import { judgeFailure, judgePrimary } from './circuit-judge.ts';
import { explain, takesOffice } from './circuit.ts';
import { createLagHistory } from './lag.ts';
import type { LagHistory } from './lag.ts';
import { contenderOf, isAnswerExpected, newcomer, newNodeRecord } from './node-record.ts';
import type { NodeRecord } from './node-record.ts';
import { nodeState, type Office } from './node-state.ts';
import type { NodeIdentity, ProbeFailure, ProbeSample } from './samples.ts';
import type { ProbeTicker } from './ticker.ts';
import type { NodeFailure, TopologySnapshot } from './types.ts';

export interface AssessorOptions {
  /** The database name that clients use. */
  readonly databaseName: string;
  readonly database: DatabaseConfig;
  readonly maxReplicaLagMs: number;
  /** routing.slow_start; absent: 30 s. */
  readonly slowStartMs?: () => number;
  /** Reads may go to the primary: the last replica can be ejected, too. */
  readonly primaryTakesReads: boolean;
  readonly onPrimaryEjected?: (node: string) => void;
  readonly ticker: ProbeTicker;
  readonly nowMs: number;
}

/**
 * Without an answer for this time a node is not up. A primary gets more time: it may only be slow, and no other node
 * can write.
 */
export const REPLICA_SILENCE_MS = 1500;
export const PRIMARY_SILENCE_MS = 5000;
/** How long the first election waits for nodes that have neither answered nor failed. */
const SETTLE_MS = 1000;
const SLOW_START_MS = 30_000;
/** Lag is known after several answers of the primary. */
const LAG_SETTLES_MS = 2000;
/** A replica that exceeded max_replica_lag takes reads again when its lag is below this share of it. */
const BACK_IN_SHARE = 0.8;

export class Assessor {
  readonly #options: AssessorOptions;
  #records: readonly NodeRecord[];
  readonly #ticker: ProbeTicker;
  readonly #lag: LagHistory = createLagHistory();
  #incumbent: Incumbent | undefined;
  #winner: number | undefined;
  #refusals: ReadonlyMap<number, string> = new Map();
  #epoch = 0;
  /** Since when the lag of replicas is measured without interruption. */
  #lagSinceMs = -Infinity;
  #snapshot: TopologySnapshot;

  constructor(options: AssessorOptions) {
    this.#options = options;
    this.#ticker = options.ticker;
    const configs = [options.database.primary, ...options.database.replicas];
    this.#records = configs.map((config) => newNodeRecord(config, options.nowMs));
    this.#snapshot = this.#build(options.nowMs);
  }

  get snapshot(): TopologySnapshot {
    return this.#snapshot;
  }

  get primaryIndex(): number | undefined {
    return this.#winner ?? this.#incumbent?.index;
  }

  /** The nodes, in the order of their indices. */
  get configs(): readonly NodeConfig[] {
    return this.#records.map(({ config }) => config);
  }

  /** System identifier of the cluster; undefined: not known. */
  get systemId(): string | undefined {
    return this.#incumbent?.systemId;
  }

  /** @returns undefined: the primary is not among them, and nothing has changed */
  setNodes(configs: readonly NodeConfig[], nowMs: number): Origins | undefined {
    const office = this.primaryIndex === undefined ? undefined : this.#records[this.primaryIndex];
    if (office !== undefined && !configs.some((config) => isSameServer(office.config, config))) return undefined;
    const { records, origins } = rearranged(this.#records, configs, (config) =>
      newcomer(config, this.#ticker.next(), nowMs),
    );
    for (const record of this.#records) if (!records.includes(record)) record.load.isGone = true;
    this.#records = records;
    if (this.#incumbent !== undefined)
      this.#incumbent = { ...this.#incumbent, index: origins.indexOf(this.#incumbent.index) };
    if (this.#winner !== undefined) this.#winner = origins.indexOf(this.#winner);
    this.refresh(nowMs);
    return origins;
  }

  indexOf(name: string): number {
    return this.#records.findIndex((record) => record.config.name === name);
  }

  connected(index: number, identity: NodeIdentity): void {
    const record = this.#records[index]!;
    record.identity = identity;
    record.sample = undefined;
    record.timeline = undefined;
  }

  /** Another process probes the node for this one from now on. */
  moved(index: number, nowMs: number): void {
    this.#records[index]!.movedAtMs = nowMs;
  }

  /** A connection attempt failed, or the connection (or its probe) was lost. */
  failed(index: number, failure: ProbeFailure, nowMs: number): void {
    const record = this.#records[index]!;
    record.hasTried = true;
    record.failure = failure;
    explain(record.circuit, nowMs);
    record.stoppedSinceMs = failure.isStopped ? (record.stoppedSinceMs ?? nowMs) : undefined;
    // A server that crashed, also a primary that comes back as a standby, can be at an older position than sessions have
    // already read from it. Until it has replayed the primary's position as of now, it only takes reads with eventual
    // consistency.
    if (record.sample !== undefined) record.catchUpTick = this.#ticker.next();
    record.sample = undefined;
    this.refresh(nowMs);
  }

  /** @param sentAtMs when the probe was sent (monotonic ms): the sample describes the node at that moment or later. */
  sampled(index: number, sample: ProbeSample, sentAtMs: number, nowMs: number): void {
    const record = this.#records[index]!;
    record.hasTried = true;
    record.failure = undefined;
    record.stoppedSinceMs = undefined;
    const isFirst = record.sample === undefined;
    record.sample = sample;
    record.answeredAtMs = nowMs;
    record.isSilent = false;
    record.lsn = sample.lsn;
    // A connected standby only moves to newer timelines, so the newest timeline that a probe proved stays valid.
    record.timeline = sample.isInRecovery
      ? Math.max(record.timeline ?? 0, sample.timeline ?? 0) || undefined
      : sample.timeline;
    this.#elect(nowMs);
    if (index === this.#winner) {
      if (isFirst) this.#lagSinceMs = nowMs;
      if (sample.lsn > 0) this.#lag.note(sentAtMs, sample.lsn);
      if (judgePrimary(record, sentAtMs, nowMs)) this.#options.onPrimaryEjected?.(record.config.name);
    } else {
      this.#judgeLag(record, nowMs);
    }
    this.#publish(nowMs);
  }

  /**
   * Marks nodes silent that have not answered in time. Only monitor.ts's sweep timer calls this, and it skips a late
   * sweep, so a stall of Weir's own event loop does not count against a node.
   */
  sweep(nowMs: number): void {
    for (const [index, record] of this.#records.entries()) {
      const patience = index === this.primaryIndex ? PRIMARY_SILENCE_MS : REPLICA_SILENCE_MS;
      if (record.sample !== undefined && nowMs - record.answeredAtMs > patience) record.isSilent = true;
    }
    this.refresh(nowMs);
  }

  refresh(nowMs: number): void {
    this.#elect(nowMs);
    this.#publish(nowMs);
  }

  /** @returns true if this failure ejected the node */
  reportFailure(index: number, kind: NodeFailure, detail: string, nowMs: number): boolean {
    const field = {
      records: this.#records,
      snapshot: this.#snapshot,
      primaryIndex: this.primaryIndex,
      primaryTakesReads: this.#options.primaryTakesReads,
    };
    const isEjected = judgeFailure(field, index, { kind, detail }, nowMs);
    if (isEjected) this.refresh(nowMs);
    return isEjected;
  }

  reportSuccess(index: number): void {
    const { load, circuit } = this.#records[index]!;
    load.answered++;
    circuit.failuresInRow = 0;
  }

  setDraining(index: number, isDraining: boolean, nowMs: number): void {
    this.#records[index]!.isDraining = isDraining;
    this.refresh(nowMs);
  }

  /**
   * A session may be waiting for this replica: it is behind the primary, or its lag is close enough to max_replica_lag
   * that more frequent probes matter.
   */
  isAwaited(index: number, nowMs: number): boolean {
    const record = this.#records[index]!;
    if (index === this.primaryIndex || record.sample === undefined) return false;
    if (record.lsn < this.#lag.newestLsn() || record.catchUpTick !== undefined) return true;
    const lagMs = this.#lagTime(nowMs) - record.caughtUpAtMs;
    const max = this.#options.maxReplicaLagMs;
    return lagMs === Infinity || (lagMs > max / 4 && lagMs < max * 10);
  }

  #elect(nowMs: number): void {
    const contenders = this.#records.map(contenderOf);
    const isSettled = this.#records.every((record) => record.hasTried) || nowMs - this.#options.nowMs > SETTLE_MS;
    const result = elect(contenders, this.#incumbent, 0, isSettled);
    this.#refusals = result.refusals;
    const before = this.#incumbent;
    if (result.winner === undefined) {
      this.#winner = undefined;
      if (before !== undefined) this.#incumbent = { ...before, isStanding: false };
      return;
    }
    const { timeline, systemId } = contenders[result.winner]!;
    this.#winner = result.winner;
    this.#incumbent = { index: result.winner, timeline, systemId: systemId ?? before?.systemId, isStanding: true };
    if (
      before?.index === result.winner &&
      before.timeline === timeline &&
      before.systemId === this.#incumbent.systemId
    ) {
      return;
    }
    this.#epoch++;
    if (before === undefined) return;
    if (before.index !== result.winner) takesOffice(this.#records[result.winner]!.circuit, nowMs);
    this.#ticker.newEpoch();
    this.#lag.clear();
    this.#lagSinceMs = nowMs;
    for (const record of this.#records) {
      record.caughtUpAtMs = -Infinity;
      record.isLagging = true;
    }
  }

  /**
   * The time that lag is measured against. It stands still while the primary's host reports that no server is running,
   * because nothing commits then.
   */
  #lagTime(nowMs: number): number {
    const primary = this.#incumbent === undefined ? undefined : this.#records[this.#incumbent.index];
    return primary?.stoppedSinceMs ?? nowMs;
  }

  #isLagUnproven(nowMs: number): boolean {
    const primary = this.#incumbent === undefined ? undefined : this.#records[this.#incumbent.index];
    if (primary !== undefined && isAnswerExpected(primary, nowMs)) return true;
    return nowMs - this.#lagSinceMs < LAG_SETTLES_MS;
  }

  #judgeLag(record: NodeRecord, nowMs: number): void {
    const max = this.#options.maxReplicaLagMs;
    record.caughtUpAtMs = record.lsn > 0 ? this.#lag.caughtUpAt(record.lsn) : -Infinity;
    const lagMs = this.#lagTime(nowMs) - record.caughtUpAtMs;
    record.isLagging = lagMs > (record.isLagging ? max * BACK_IN_SHARE : max);
    if (record.catchUpTick === undefined) return;
    const needed = this.#ticker.lsnOf(record.catchUpTick);
    if (needed === Infinity) record.catchUpTick = this.#ticker.next();
    else if (needed !== undefined && record.lsn >= needed) record.catchUpTick = undefined;
  }

  #publish(nowMs: number): void {
    this.#snapshot = this.#build(nowMs);
  }

  #build(nowMs: number): TopologySnapshot {
    const office: Office = {
      winner: this.#winner,
      incumbent: this.#incumbent,
      refusals: this.#refusals,
      lagTimeMs: this.#lagTime(nowMs),
      newestLsn: this.#lag.newestLsn(),
      isElectionOpen: this.#incumbent === undefined && this.#records.some((record) => isAnswerExpected(record, nowMs)),
      isLagUnproven: this.#isLagUnproven(nowMs),
      slowStartMs: this.#options.slowStartMs?.() ?? SLOW_START_MS,
    };
    const nodes = this.#records.map((record, index) => nodeState(record, index, office, nowMs));
    const hidden = this.primaryIndex ?? 0;
    const isDemoted = this.#winner === undefined && nodes[hidden]?.role === 'replica';
    return {
      database: this.#options.databaseName,
      primary: this.primaryIndex === undefined || isDemoted ? undefined : nodes[hidden],
      replicas: nodes.filter((_, index) => index !== hidden || isDemoted),
      nodes,
      epoch: this.#epoch,
    };
  }
}
