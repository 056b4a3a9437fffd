/**
 * Has its nodes watched (server-monitor.ts) and keeps their rhythm: a calm one, a fast one while somebody waits for an LSN, and replicas
 * asked right after the primary answered (so that an idle system shows no lag). Judging is assess.ts. Made by topology.ts.
 */
import type { Clock } from '../util/clock.ts';
import type { NodeConfig } from '../config/config.ts';
import type { Assessor } from './assess.ts';
import { ProbeError } from './probe.ts';
import type { NodeIdentity, ProbeFailure, ProbeRow, ProbeSample } from './samples.ts';
import type { MonitorLogin } from './server-connector.ts';
import type { Member, MemberOptions } from './server-monitor.ts';
import type { ProbeTicker } from './ticker.ts';
import type { Tick } from './types.ts';

export interface MonitorOptions {
  readonly nodes: readonly NodeConfig[];
  readonly assessor: Assessor;
  readonly ticker: ProbeTicker;
  readonly join: (options: MemberOptions) => Member;
  readonly logins: (node: NodeConfig) => readonly MonitorLogin[];
  readonly clock: Clock;
  readonly maxReplicaLagMs: number;
  /** A read is held up until somebody has answered: no pause between probes. */
  readonly isUrgent: () => boolean;
  /** After everything that may have changed the snapshot. */
  readonly onNews: () => void;
}

const CALM_INTERVAL_MS = 500;
/** While ticks are demanded, or a replica's replay is waited for. */
export const FAST_INTERVAL_MS = 50;
/** While a read is held up: often enough for a few answers in the time that it waits. */
const URGENT_INTERVAL_MS = 2;
/** Somebody asked for a tick so lately that the next one is a matter of time. */
const DEMAND_LASTS_MS = 1000;
const SWEEP_MS = 250;

export class Monitor {
  readonly #options: MonitorOptions;
  /** In the order of the nodes; empty while it does not run. */
  #watchers: readonly Member[] = [];
  readonly #calmMs: number;
  #demandedAtMs = -Infinity;
  #sweepTimer: NodeJS.Timeout | undefined;
  #sweptAtMs = 0;

  constructor(options: MonitorOptions) {
    this.#options = options;
    // A lag of a quarter of what is allowed must be seen between two probes.
    this.#calmMs = Math.min(CALM_INTERVAL_MS, Math.max(FAST_INTERVAL_MS, options.maxReplicaLagMs / 4));
  }

  start(): void {
    if (this.#sweepTimer !== undefined) return;
    this.#sweptAtMs = this.#options.clock.nowMs();
    this.#sweepTimer = setInterval(() => this.#sweep(), SWEEP_MS);
    this.#sweepTimer.unref();
    const watchers: Member[] = [];
    this.#watchers = watchers;
    for (const [index, node] of this.#options.nodes.entries()) watchers.push(this.#watch(node, index));
  }

  async stop(): Promise<void> {
    clearInterval(this.#sweepTimer);
    this.#sweepTimer = undefined;
    const watchers = this.#watchers;
    this.#watchers = [];
    await Promise.all(watchers.map((watcher) => watcher.leave()));
  }

  /** The ticker's wake-up call: on the path of a request, once per probe. */
  wake(): void {
    this.#demandedAtMs = this.#options.clock.nowMs();
    const primary = this.#options.assessor.primaryIndex;
    if (primary !== undefined) this.#watchers[primary]?.hurry(FAST_INTERVAL_MS);
  }

  /** Everybody, now: the primary first, whose answer sets off the replicas. */
  askAll(): void {
    this.#demandedAtMs = this.#options.clock.nowMs();
    const primary = this.#options.assessor.primaryIndex;
    if (primary !== undefined) this.#watchers[primary]?.hurry(0);
  }

  /** Something is odd about the node: ask now. */
  probeNow(index: number): void {
    this.#watchers[index]?.suspect();
  }

  /** There may be something new to log in with. */
  loginsChanged(): void {
    for (const watcher of this.#watchers) {
      watcher.loginsChanged();
      watcher.suspect();
    }
  }

  async ask(index: number, sql: string, values: readonly unknown[]): Promise<ProbeRow[]> {
    const watcher = this.#watchers[index];
    if (watcher === undefined) throw new ProbeError('it is not watched', false);
    return watcher.ask(sql, values);
  }

  #watch(node: NodeConfig, index: number): Member {
    const { assessor, ticker, join, logins } = this.#options;
    let tick: Tick | undefined;
    let identity: NodeIdentity | undefined;
    return join({
      node,
      logins: () => logins(node),
      events: {
        connected: (found) => {
          identity = found;
          assessor.connected(index, found);
        },
        sending: () => {
          tick = index === assessor.primaryIndex ? ticker.begin() : undefined;
        },
        sampled: (sample, sentAtMs) => {
          // Who cannot be asked may be the primary, if the configuration says so, and nothing else.
          if (identity?.isMute === true && index !== 0)
            this.#failed(index, { problem: identity.limitation ?? 'does not let the monitor in', isStopped: false });
          else this.#sampled(index, sample, sentAtMs, tick);
        },
        failed: (failure) => this.#failed(index, failure),
        intervalMs: () => this.#intervalMs(index),
      },
    });
  }

  #sampled(index: number, sample: ProbeSample, sentAtMs: number, tick: Tick | undefined): void {
    const { assessor, ticker, clock } = this.#options;
    assessor.sampled(index, sample, sentAtMs, clock.nowMs());
    if (index === assessor.primaryIndex && !sample.isInRecovery) {
      // An election just now has begun a new epoch: then this tick is of the old one, and is not taken.
      if (tick !== undefined && sample.lsn > 0) ticker.finish(tick, sample.lsn);
      this.#askReplicas(index);
    }
    this.#options.onNews();
  }

  #askReplicas(primary: number): void {
    const now = this.#options.clock.nowMs();
    for (const [index, watcher] of this.#watchers.entries()) {
      if (index === primary) continue;
      const isAwaited = this.#options.assessor.isAwaited(index, now);
      const minGapMs = this.#options.isUrgent() ? 0 : isAwaited ? FAST_INTERVAL_MS * 0.8 : this.#calmMs / 2;
      if (watcher.sinceSentMs >= minGapMs) watcher.hurry(0);
    }
  }

  #failed(index: number, failure: ProbeFailure): void {
    const { assessor, clock } = this.#options;
    const wasPrimary = index === assessor.primaryIndex;
    assessor.failed(index, failure, clock.nowMs());
    // Whoever takes over will say so when asked.
    if (wasPrimary) for (const watcher of this.#watchers) watcher.hurry(FAST_INTERVAL_MS);
    this.#options.onNews();
  }

  #intervalMs(index: number): number {
    const { assessor, ticker, clock } = this.#options;
    const now = clock.nowMs();
    if (this.#options.isUrgent()) return URGENT_INTERVAL_MS;
    if (index === assessor.primaryIndex) return ticker.isDemanded() ? FAST_INTERVAL_MS : this.#calmMs;
    const isMissing = !(assessor.snapshot.primary?.isUp ?? false);
    const isDemanded = now - this.#demandedAtMs < DEMAND_LASTS_MS;
    if (isMissing || (isDemanded && assessor.isAwaited(index, now))) return FAST_INTERVAL_MS;
    // A little more than the primary's: its answer is what sets a replica off.
    return this.#calmMs * 1.2;
  }

  #sweep(): void {
    const now = this.#options.clock.nowMs();
    const isLate = now - this.#sweptAtMs > 2 * SWEEP_MS;
    this.#sweptAtMs = now;
    // After a stall of our own the answers lie unread in the sockets: nobody was silent.
    if (isLate) return;
    this.#options.assessor.sweep(now);
    this.#options.onNews();
  }
}
