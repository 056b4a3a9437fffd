/**
 * Probes the nodes of one database (through server-monitor.ts) and sets the interval: slow normally, fast while a
 * session waits for an LSN. Probes replicas right after the primary answered, so that an idle system shows no lag.
 * assess.ts judges the answers. Made by topology.ts.
 */
import type { Clock } from '../util/clock.ts';
import type { NodeConfig } from '../config/config.ts';
import type { Assessor } from './assess.ts';
import type { Origins } from './changed-nodes.ts';
import type { Member, MemberOptions } from './member.ts';
import { ProbeError } from './probe.ts';
import type { NodeIdentity, ProbeFailure, ProbeRow, ProbeSample } from './samples.ts';
import type { MonitorLogin } from './server-connector.ts';
import { tryNode, type Tried } from './trial.ts';
import type { ProbeTicker } from './ticker.ts';
import type { Tick } from './types.ts';
import { Unanswered } from './unanswered.ts';

export interface MonitorOptions {
  /** The name that clients use. */
  readonly database: string;
  /** At first. */
  readonly nodes: readonly NodeConfig[];
  readonly assessor: Assessor;
  readonly ticker: ProbeTicker;
  readonly join: (options: MemberOptions) => Member;
  readonly logins: (node: NodeConfig) => readonly MonitorLogin[];
  /** The clients' users whose log-ins are among them. */
  readonly borrowedUsers: (node: NodeConfig) => readonly string[];
  readonly clock: Clock;
  readonly maxReplicaLagMs: number;
  /** A read waits for the next answer of any node: probe without a pause. */
  readonly isUrgent: () => boolean;
  /** See MemberOptions. */
  readonly mayRest: () => boolean;
  /** Called after every event that may have changed the snapshot. */
  readonly onNews: () => void;
}

const CALM_INTERVAL_MS = 500;
/** Interval while a session waits for a tick, or for a replica to replay. */
export const FAST_INTERVAL_MS = 50;
/** Interval while a read waits: short enough for several answers within its wait. */
const URGENT_INTERVAL_MS = 2;
/**
 * After a tick was asked for, replicas that sessions may be waiting for are probed fast for this time: the next
 * request for a tick is likely.
 */
const DEMAND_LASTS_MS = 1000;
const SWEEP_MS = 250;

interface Watched {
  readonly node: NodeConfig;
  /** undefined: it is being made. */
  member: Member | undefined;
}

export class Monitor {
  readonly #options: MonitorOptions;
  /** In the order of the nodes; empty while the monitor is stopped. */
  #watched: readonly Watched[] = [];
  #nodes: readonly NodeConfig[];
  readonly #calmMs: number;
  #demandedAtMs = -Infinity;
  #sweepTimer: NodeJS.Timeout | undefined;
  #sweptAtMs = 0;
  readonly #unanswered = new Unanswered();

  constructor(options: MonitorOptions) {
    this.#options = options;
    // Often enough to notice a lag of a quarter of max_replica_lag.
    this.#calmMs = Math.min(CALM_INTERVAL_MS, Math.max(FAST_INTERVAL_MS, options.maxReplicaLagMs / 4));
    this.#nodes = options.nodes;
  }

  /** Interval at the primary while a session waits for a tick. All reads ask for some, also where there is no replica. */
  get #tickMs(): number {
    return this.#nodes.length > 1 ? FAST_INTERVAL_MS : this.#calmMs;
  }

  start(): void {
    if (this.#sweepTimer !== undefined) return;
    this.#sweptAtMs = this.#options.clock.nowMs();
    this.#sweepTimer = setInterval(() => this.#sweep(), SWEEP_MS);
    this.#sweepTimer.unref();
    this.#watched = this.#nodes.map((node) => ({ node, member: undefined }));
    for (const watched of this.#watched) this.#watch(watched);
  }

  /** The assessor has other nodes now. Resolves when those that are gone are left. */
  async setNodes(nodes: readonly NodeConfig[], origins: Origins): Promise<void> {
    this.#nodes = nodes;
    if (this.#sweepTimer === undefined) return;
    const before = this.#watched;
    this.#watched = nodes.map((node, index) => before[origins[index] ?? -1] ?? { node, member: undefined });
    for (const watched of this.#watched) if (!before.includes(watched)) this.#watch(watched);
    const gone = before.filter((watched) => !this.#watched.includes(watched));
    await Promise.all(gone.map(({ member }) => member?.leave()));
  }

  /** Looks at a server that is not a node yet. */
  tryNode(node: NodeConfig): Promise<Tried> {
    return tryNode({ ...this.#options, node, systemId: this.#options.assessor.systemId });
  }

  async stop(): Promise<void> {
    clearInterval(this.#sweepTimer);
    this.#sweepTimer = undefined;
    const watched = this.#watched;
    this.#watched = [];
    await Promise.all(watched.map(({ member }) => member?.leave()));
  }

  /**
   * Called by the ticker when a session needs a probe that has not been sent yet: at most once per probe, on the path
   * of a request.
   */
  wake(): void {
    this.#demandedAtMs = this.#options.clock.nowMs();
    const primary = this.#options.assessor.primaryIndex;
    if (primary !== undefined) this.#watched[primary]?.member?.hurry(this.#tickMs);
  }

  /** Probes all nodes now: the primary at once, the replicas as soon as it has answered. */
  askAll(): void {
    this.#demandedAtMs = this.#options.clock.nowMs();
    const primary = this.#options.assessor.primaryIndex;
    if (primary !== undefined) this.#watched[primary]?.member?.hurry(0);
  }

  /** Probes the node now, because something suggests that its state has changed. */
  probeNow(index: number): void {
    const member = this.#watched[index]?.member;
    member?.alarm?.();
    member?.suspect();
  }

  /** The set of available log-ins may have changed: tries to log in again. */
  loginsChanged(): void {
    for (const { member } of this.#watched) {
      member?.loginsChanged();
      member?.suspect();
    }
  }

  async ask(index: number, sql: string, values: readonly unknown[]): Promise<ProbeRow[]> {
    const watcher = this.#watched[index]?.member;
    if (watcher === undefined) throw new ProbeError('it is not watched', false);
    return watcher.ask(sql, values);
  }

  /** Events of a node that is gone have no index. */
  #watch(watched: Watched): void {
    const { database, assessor, ticker, join, logins, borrowedUsers, mayRest } = this.#options;
    const { node } = watched;
    const at = (): number => this.#watched.indexOf(watched);
    let tick: Tick | undefined;
    let identity: NodeIdentity | undefined;
    watched.member = join({
      database,
      node,
      logins: () => logins(node),
      borrowedUsers: () => borrowedUsers(node),
      isTickAwaited: () => at() === assessor.primaryIndex && ticker.isDemanded(),
      mayRest,
      events: {
        connected: (found) => {
          identity = found;
          if (at() >= 0) assessor.connected(at(), found);
        },
        sending: () => {
          tick = at() === assessor.primaryIndex ? ticker.begin() : undefined;
        },
        sampled: (sample, sentAtMs) => {
          const index = at();
          // A node that listens but accepts no log-in of the monitor counts as up only if it is the configured
          // primary (index 0).
          if (identity?.isMute === true && index !== 0)
            this.#failed(index, { problem: identity.limitation ?? 'does not let the monitor in', isStopped: false });
          else this.#sampled(index, sample, sentAtMs, tick);
        },
        failed: (failure) => this.#failed(at(), failure),
        moved: () => {
          if (at() >= 0) assessor.moved(at(), this.#options.clock.nowMs());
        },
        intervalMs: () => this.#intervalMs(at()),
      },
    });
  }

  #sampled(index: number, sample: ProbeSample, sentAtMs: number, tick: Tick | undefined): void {
    const { assessor, ticker, clock } = this.#options;
    if (index < 0) return;
    assessor.sampled(index, sample, sentAtMs, clock.nowMs());
    if (index === assessor.primaryIndex && !sample.isInRecovery) {
      // If this sample caused an election, a new epoch has begun: the ticker ignores the tick, which is of the old
      // one.
      if (tick !== undefined && sample.lsn > 0) ticker.finish(tick, sample.lsn);
      this.#askReplicas(index);
    }
    this.#options.onNews();
  }

  #askReplicas(primary: number): void {
    const now = this.#options.clock.nowMs();
    for (const [index, { member }] of this.#watched.entries()) {
      if (index === primary || member === undefined) continue;
      const isAwaited = this.#options.assessor.isAwaited(index, now);
      const minGapMs = this.#options.isUrgent() ? 0 : isAwaited ? FAST_INTERVAL_MS * 0.8 : this.#calmMs / 2;
      if (member.sinceSentMs >= minGapMs) member.refresh();
    }
  }

  #failed(index: number, failure: ProbeFailure): void {
    const { assessor, clock } = this.#options;
    if (index < 0) return;
    const wasPrimary = index === assessor.primaryIndex;
    assessor.failed(index, failure, clock.nowMs());
    // Find the new primary soon: a promoted replica says so in its next answer.
    if (wasPrimary) for (const { member } of this.#watched) member?.hurry(FAST_INTERVAL_MS);
    this.#options.onNews();
  }

  #intervalMs(index: number): number {
    const { assessor, ticker, clock } = this.#options;
    const now = clock.nowMs();
    if (index < 0) return CALM_INTERVAL_MS;
    if (this.#options.isUrgent()) return URGENT_INTERVAL_MS;
    if (index === assessor.primaryIndex) return ticker.isDemanded() ? this.#tickMs : this.#calmMs;
    const isMissing = !(assessor.snapshot.primary?.isUp ?? false);
    const isDemanded = now - this.#demandedAtMs < DEMAND_LASTS_MS;
    if (isMissing || (isDemanded && assessor.isAwaited(index, now))) return FAST_INTERVAL_MS;
    // Slightly longer than the primary's: normally the primary's answer triggers the replica's probe before this.
    return this.#calmMs * 1.2;
  }

  #sweep(): void {
    const now = this.#options.clock.nowMs();
    const isLate = now - this.#sweptAtMs > 2 * SWEEP_MS;
    this.#sweptAtMs = now;
    // After a stall of Weir's event loop, answers may wait unread in the sockets: do not mark those nodes silent.
    if (isLate) return;
    this.#options.assessor.sweep(now);
    if (this.#options.mayRest() && this.#unanswered.look(this.#options.assessor.snapshot.nodes[0]?.load, now))
      this.probeNow(0);
    this.#options.onNews();
  }
}
