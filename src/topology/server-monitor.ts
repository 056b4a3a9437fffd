/**
 * Probes one server (host and port) for all databases that have it as a node: one connection, one probe at a time.
 * Each answer goes to every member whose next probe is due. Members are the nodes of the databases. Made by
 * server-monitors.ts.
 */
import type { NodeConfig } from '../config/config.ts';
import type { Clock } from '../util/clock.ts';
import type { Member, MemberOptions } from './member.ts';
import { RestingConnector } from './resting-connector.ts';
import { ServerConnector } from './server-connector.ts';
import type { MonitorLogin } from './server-connector.ts';
import type { NodeIdentity, ProbeFailure, ProbeRow, ProbeSample } from './samples.ts';
import { Watcher } from './watcher.ts';
import type { WatcherEvents } from './watcher.ts';

/**
 * A member also takes an answer that another member's probe brings before its own is due: this share of its interval
 * early.
 */
const EARLY_SHARE = 0.25;

export class ServerMonitor {
  readonly #node: NodeConfig;
  readonly #clock: Clock;
  readonly #watcher: Watcher;
  readonly #connector: ServerConnector;
  readonly #resting: RestingConnector;
  readonly #members = new Set<ServerMember>();
  #identity: NodeIdentity | undefined;
  #failure: ProbeFailure | undefined;

  constructor(node: NodeConfig, clock: Clock, connectTimeoutMs: number) {
    this.#node = node;
    this.#clock = clock;
    this.#connector = new ServerConnector(() => this.#logins(), clock, connectTimeoutMs);
    this.#resting = new RestingConnector(this.#connector.connect, () => this.#mayRest(), clock);
    this.#watcher = new Watcher(node, this.#resting.connect, clock, {
      connected: (identity) => this.#connected(identity),
      sending: () => this.#sending(),
      sampled: (sample, sentAtMs) => this.#sampled(sample, sentAtMs),
      failed: (failure) => this.#failed(failure),
      intervalMs: () => this.#untilNextMs(),
    });
  }

  get isUnused(): boolean {
    return this.#members.size === 0;
  }

  get watcher(): Watcher {
    return this.#watcher;
  }

  join(options: MemberOptions): ServerMember {
    const member = new ServerMember(this, options, this.#clock);
    this.#members.add(member);
    if (this.#identity !== undefined) member.events.connected(this.#identity);
    else if (this.#failure !== undefined) member.events.failed(this.#failure);
    if (this.#members.size === 1) this.#watcher.start();
    // The new member may offer the log-in that was missing.
    else this.#connector.loginsChanged();
    member.suspect();
    return member;
  }

  async leave(member: ServerMember): Promise<void> {
    if (!this.#members.delete(member)) return;
    if (this.#members.size === 0) return this.#watcher.stop();
    this.#connector.loginsChanged();
  }

  loginsChanged(): void {
    this.#connector.loginsChanged();
  }

  /** See Member. */
  alarm(): void {
    this.#resting.alarm();
  }

  /**
   * Runs a short query between two probes. Rejects if the monitor is not logged in, or the server does not answer in
   * time.
   */
  ask(sql: string, values: readonly unknown[] = []): Promise<ProbeRow[]> {
    return this.#resting.ask(sql, values, this.#node.name);
  }

  #mayRest(): boolean {
    for (const member of this.#members) if (!member.mayRest()) return false;
    return true;
  }

  #logins(): readonly MonitorLogin[] {
    const byKey = new Map<string, MonitorLogin>();
    for (const member of this.#members) {
      for (const login of member.logins()) if (!byKey.has(login.key)) byKey.set(login.key, login);
    }
    return [...byKey.values()].sort((a, b) => a.rank - b.rank);
  }

  #connected(identity: NodeIdentity): void {
    this.#identity = identity;
    this.#failure = undefined;
    for (const member of [...this.#members]) member.events.connected(identity);
  }

  #sending(): void {
    const now = this.#clock.nowMs();
    for (const member of this.#members) member.sending(now);
  }

  #sampled(sample: ProbeSample, sentAtMs: number): void {
    for (const member of [...this.#members]) member.sampled(sample, sentAtMs);
  }

  #failed(failure: ProbeFailure): void {
    this.#identity = undefined;
    this.#failure = failure;
    for (const member of [...this.#members]) member.failed(failure);
  }

  #untilNextMs(): number {
    let dueAtMs = Infinity;
    for (const member of this.#members) dueAtMs = Math.min(dueAtMs, member.dueAtMs);
    return Math.max(0, dueAtMs - (this.#clock.nowMs() - this.#watcher.sinceSentMs));
  }
}

/** A member whose server is probed by this process. */
export class ServerMember implements Member {
  readonly events: WatcherEvents;
  readonly logins: () => readonly MonitorLogin[];
  readonly mayRest: () => boolean;
  /** When its next probe is due (monotonic ms). */
  dueAtMs: number;
  readonly #monitor: ServerMonitor;
  readonly #clock: Clock;
  #sentAtMs = -Infinity;
  #isListening = false;
  #isSuspect = false;

  constructor(monitor: ServerMonitor, { events, logins, mayRest }: MemberOptions, clock: Clock) {
    this.#monitor = monitor;
    this.#clock = clock;
    this.events = events;
    this.logins = logins;
    this.mayRest = mayRest ?? (() => false);
    this.dueAtMs = clock.nowMs();
  }

  get sinceSentMs(): number {
    return this.#clock.nowMs() - this.#sentAtMs;
  }

  hurry(minGapMs: number): void {
    this.#hurryTo(this.#sentAtMs + minGapMs);
  }

  /** As `hurry`, but after the last probe of the server, whichever members it was for. */
  hurryAfterAny(minGapMs: number): void {
    this.#hurryTo(this.#clock.nowMs() - this.#monitor.watcher.sinceSentMs + minGapMs);
  }

  #hurryTo(atMs: number): void {
    this.dueAtMs = Math.min(this.dueAtMs, Math.max(this.#clock.nowMs(), atMs));
    this.#monitor.watcher.hurryTo(this.dueAtMs);
  }

  refresh(): void {
    this.hurry(0);
  }

  suspect(): void {
    this.#isSuspect = true;
    this.dueAtMs = this.#clock.nowMs();
    this.#monitor.watcher.suspect();
  }

  alarm(): void {
    this.#monitor.alarm();
  }

  loginsChanged(): void {
    this.#monitor.loginsChanged();
  }

  ask(sql: string, values: readonly unknown[] = []): Promise<ProbeRow[]> {
    return this.#monitor.ask(sql, values);
  }

  leave(): Promise<void> {
    return this.#monitor.leave(this);
  }

  sending(nowMs: number): void {
    const early = Math.max(1, (this.dueAtMs - this.#sentAtMs) * EARLY_SHARE);
    this.#isListening = this.dueAtMs - early <= nowMs;
    if (!this.#isListening) return;
    this.#sentAtMs = nowMs;
    this.#isSuspect = false;
    this.events.sending();
  }

  sampled(sample: ProbeSample, sentAtMs: number): void {
    if (!this.#isListening) return;
    this.#isListening = false;
    // Infinity first, so that a `hurry` from within the listener takes effect.
    this.dueAtMs = Infinity;
    this.events.sampled(sample, sentAtMs);
    const nextMs = this.#isSuspect ? this.#clock.nowMs() : this.#sentAtMs + this.events.intervalMs();
    this.dueAtMs = Math.min(this.dueAtMs, nextMs);
  }

  failed(failure: ProbeFailure): void {
    this.#isListening = false;
    this.dueAtMs = this.#clock.nowMs();
    this.events.failed(failure);
  }
}
