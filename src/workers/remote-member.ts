/**
 * One database's subscription to one server that the lead probes. Numbers its requests: an answer counts only if the lead
 * had heard the last request before it sent the probe, so the LSN of a tick is of a probe that was sent after the tick was
 * given out. One request at a time; another follows its answer. Made by shared-monitors.ts.
 */
import type { Member, MemberOptions } from '../topology/member.ts';
import { ProbeError } from '../topology/probe.ts';
import type { ProbeRow } from '../topology/samples.ts';
import type { Clock } from '../util/clock.ts';
import type { WatchMessage, WatchNews } from './monitor-messages.ts';
import type { SharedTime } from './shared-time.ts';

/** No worker leads now, or the one that did is gone. */
export class LeadLost extends ProbeError {
  constructor() {
    super('no process of Weir probes the servers now', false);
  }
}

export interface ToLead {
  /** Does nothing while there is no lead. */
  send(message: WatchMessage): void;
  /** Rejects with LeadLost if the lead is lost first. */
  query(id: number, sql: string, values: readonly unknown[]): Promise<ProbeRow[]>;
  left(id: number): void;
}

export class RemoteMember implements Member {
  readonly id: number;
  private readonly options: MemberOptions;
  private readonly clock: Clock;
  private readonly time: SharedTime;
  private readonly lead: ToLead;
  /** Number of the last request. */
  private request = 0;
  private isUnanswered = false;
  /** When a request is to be sent (monotonic ms); it waits for the answer to the last one. Infinity: none. */
  private dueAtMs = Infinity;
  private timer: NodeJS.Timeout | undefined;
  private minGapMs = 0;
  private sentAtMs = -Infinity;
  private seen = 0;
  private toldIntervalMs = 0;

  constructor(id: number, options: MemberOptions, clock: Clock, time: SharedTime, lead: ToLead) {
    this.id = id;
    this.options = options;
    this.clock = clock;
    this.time = time;
    this.lead = lead;
  }

  get sinceSentMs(): number {
    return this.clock.nowMs() - this.sentAtMs;
  }

  /** There is a lead that does not know this watch. */
  attach(): void {
    const { database, node, events, borrowedUsers } = this.options;
    this.seen = 0;
    this.toldIntervalMs = events.intervalMs();
    this.lead.send({
      kind: 'watch',
      id: this.id,
      database,
      node,
      intervalMs: this.toldIntervalMs,
      request: this.request,
      borrowedUsers: borrowedUsers?.() ?? [],
    });
    this.requestForTick();
  }

  hurry(minGapMs: number): void {
    const atMs = Math.max(this.clock.nowMs(), this.sentAtMs + minGapMs);
    this.minGapMs = Math.min(this.dueAtMs === Infinity ? Infinity : this.minGapMs, minGapMs);
    if (atMs >= this.dueAtMs) return;
    this.dueAtMs = atMs;
    this.arm();
  }

  refresh(): void {
    if (!this.isUnanswered) this.lead.send({ kind: 'refresh', id: this.id, seen: this.seen });
  }

  suspect(): void {
    this.lead.send({ kind: 'suspect', id: this.id });
  }

  loginsChanged(): void {
    this.lead.send({ kind: 'logins', id: this.id, borrowedUsers: this.options.borrowedUsers?.() ?? [] });
  }

  ask(sql: string, values: readonly unknown[] = []): Promise<ProbeRow[]> {
    return this.lead.query(this.id, sql, values);
  }

  leave(): Promise<void> {
    clearTimeout(this.timer);
    this.lead.send({ kind: 'leave', id: this.id });
    this.lead.left(this.id);
    return Promise.resolve();
  }

  receive(news: WatchNews): void {
    const { events } = this.options;
    if (news.kind === 'connected') events.connected(news.identity);
    else if (news.kind === 'failed') events.failed(news.failure);
    else this.sampled(news);
  }

  private sampled({ sample, sentAtMs, heard, number }: WatchNews & { kind: 'sampled' }): void {
    this.seen = number;
    // The probe was sent before the lead had heard the request.
    if (heard < this.request) return;
    const { events } = this.options;
    this.isUnanswered = false;
    const localMs = this.time.toLocal(sentAtMs);
    this.sentAtMs = Math.max(this.sentAtMs, localMs);
    events.sampled(sample, localMs);
    const intervalMs = events.intervalMs();
    if (intervalMs !== this.toldIntervalMs) {
      this.toldIntervalMs = intervalMs;
      this.lead.send({ kind: 'interval', id: this.id, intervalMs });
    }
    if (this.dueAtMs < Infinity) this.arm();
    else this.requestForTick();
  }

  /** Answers to no request are of no use to a tick: it was demanded while another process was asked, or no primary was known. */
  private requestForTick(): void {
    if (!this.isUnanswered && this.options.isTickAwaited?.() === true) this.hurry(this.options.events.intervalMs());
  }

  private arm(): void {
    if (this.isUnanswered) return;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.sendRequest(), Math.max(0, this.dueAtMs - this.clock.nowMs()));
    this.timer.unref();
  }

  private sendRequest(): void {
    this.dueAtMs = Infinity;
    this.request++;
    this.isUnanswered = true;
    this.options.events.sending();
    this.lead.send({ kind: 'request', id: this.id, request: this.request, minGapMs: this.minGapMs });
  }
}
