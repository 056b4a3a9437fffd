/**
 * In the lead: the watches of the other workers. Each is an ordinary member of a server's monitor whose events are sent to
 * its worker. Made by shared-monitors.ts; unused in workers that do not lead.
 */
import type { NodeConfig } from '../config/config.ts';
import type { CatalogQuestion } from '../topology/catalog-sharing.ts';
import { ProbeError, asProbeFailure } from '../topology/probe.ts';
import type { ProbeRow } from '../topology/samples.ts';
import type { ServerMember } from '../topology/server-monitor.ts';
import type { WatcherEvents } from '../topology/watcher.ts';
import type { LeadAnswer, LeadQuestion, WatchMessage, WatchNews } from './monitor-messages.ts';
import type { SharedTime } from './shared-time.ts';

/** What this process has for the databases of the others. */
export interface HostedDatabases {
  /** @returns undefined: there is no such database */
  join(database: string, node: NodeConfig, events: WatcherEvents): ServerMember | undefined;
  /** Servers have accepted these users in another worker. */
  borrow(database: string, node: NodeConfig, users: readonly string[]): void;
  /** The node has refused this user in another worker. */
  refused(database: string, node: NodeConfig, user: string): void;
  /** @param asker number of the worker. Rejects with ProbeError. */
  askCatalog(
    asker: number,
    database: string,
    node: NodeConfig,
    question: CatalogQuestion,
  ): Promise<readonly ProbeRow[]>;
  releaseCatalog(asker: number, database: string): void;
}

interface Hosted {
  readonly database: string;
  readonly node: NodeConfig;
  readonly member: ServerMember;
  intervalMs: number;
  /** Last request that was heard, and the same as of the last probe. */
  heard: number;
  heardAtSend: number;
  minGapMs: number;
  /** Probes whose answers this watch takes. */
  probes: number;
}

/**
 * As a share of the gap that a worker keeps between its own requests: requests of several workers that come apart by less
 * are answered by one probe.
 */
const togetherShare = 0.5;

export class MonitorHost {
  private readonly databases: HostedDatabases;
  private readonly time: SharedTime;
  private readonly send: (worker: number, news: WatchNews) => void;
  private readonly byWorker = new Map<number, Map<number, Hosted>>();
  /** Whose catalogs workers have asked for, by worker. */
  private readonly catalogs = new Map<number, Set<string>>();
  private readonly watched = new Map<string, number>();

  constructor(databases: HostedDatabases, time: SharedTime, send: (worker: number, news: WatchNews) => void) {
    this.databases = databases;
    this.time = time;
    this.send = send;
  }

  /** Another worker watches a node of this database. */
  holds(database: string): boolean {
    return this.watched.has(database);
  }

  receive(worker: number, message: WatchMessage): void {
    if (message.kind === 'watch') return this.watch(worker, message);
    if (message.kind === 'release') return this.release(worker, message.database);
    if (message.kind === 'refused') return this.databases.refused(message.database, message.node, message.user);
    const hosted = this.byWorker.get(worker)?.get(message.id);
    if (hosted === undefined) return;
    switch (message.kind) {
      case 'request':
        hosted.heard = message.request;
        hosted.minGapMs = message.minGapMs;
        return hosted.member.hurryAfterAny(message.minGapMs * togetherShare);
      case 'refresh':
        if (hosted.probes <= message.seen) hosted.member.refresh();
        return;
      case 'suspect':
        return hosted.member.suspect();
      case 'interval':
        hosted.intervalMs = message.intervalMs;
        return hosted.member.hurry(message.intervalMs);
      case 'logins':
        this.databases.borrow(hosted.database, hosted.node, message.borrowedUsers);
        hosted.member.loginsChanged();
        return;
      case 'leave':
        return this.leave(worker, message.id, hosted);
    }
  }

  /** Never rejects. */
  async answer(worker: number, question: LeadQuestion): Promise<LeadAnswer> {
    try {
      return { kind: 'rows', rows: await this.rowsOf(worker, question) };
    } catch (error) {
      const { problem, isStopped, isRefused } = asProbeFailure(error, 'cannot be asked');
      return { kind: 'failure', failure: { problem, isStopped, isRefused } };
    }
  }

  private async rowsOf(worker: number, question: LeadQuestion): Promise<readonly ProbeRow[]> {
    if (question.kind === 'catalog') {
      const { database, node } = question;
      let asked = this.catalogs.get(worker);
      if (asked === undefined) this.catalogs.set(worker, (asked = new Set()));
      asked.add(database);
      return this.databases.askCatalog(worker, database, node, question.question);
    }
    const hosted = this.byWorker.get(worker)?.get(question.id);
    if (hosted === undefined) throw new ProbeError('it is not watched', false);
    return hosted.member.ask(question.sql, question.values);
  }

  workerGone(worker: number): void {
    for (const [id, hosted] of this.byWorker.get(worker) ?? []) this.leave(worker, id, hosted);
    this.byWorker.delete(worker);
    for (const database of this.catalogs.get(worker) ?? []) this.release(worker, database);
    this.catalogs.delete(worker);
  }

  /** This process does not lead any more. */
  clear(): void {
    for (const worker of new Set([...this.byWorker.keys(), ...this.catalogs.keys()])) this.workerGone(worker);
  }

  private watch(worker: number, message: WatchMessage & { kind: 'watch' }): void {
    const { id, database, node, intervalMs, request } = message;
    let watches = this.byWorker.get(worker);
    if (watches === undefined) this.byWorker.set(worker, (watches = new Map<number, Hosted>()));
    const before = watches.get(id);
    if (before !== undefined) this.leave(worker, id, before);
    const figures = { database, node, intervalMs, heard: request, heardAtSend: 0, minGapMs: 0, probes: 0 };
    const events = this.eventsOf(worker, id, () => hosted);
    const member = this.databases.join(database, node, events);
    if (member === undefined)
      return this.send(worker, { kind: 'failed', id, failure: { problem: 'it is not configured', isStopped: false } });
    const hosted: Hosted = Object.assign(figures, { member });
    watches.set(id, hosted);
    this.watched.set(database, (this.watched.get(database) ?? 0) + 1);
    this.databases.borrow(database, node, message.borrowedUsers);
  }

  /** `hosted` is asked only for events of probes, which come later than the return of `join`. */
  private eventsOf(worker: number, id: number, hosted: () => Hosted): WatcherEvents {
    return {
      connected: (identity) => this.send(worker, { kind: 'connected', id, identity }),
      sending: () => {
        hosted().heardAtSend = hosted().heard;
        hosted().probes++;
      },
      sampled: (sample, sentAtMs) => {
        const { heard, heardAtSend, probes, member, minGapMs } = hosted();
        const sentAt = this.time.toShared(sentAtMs);
        this.send(worker, { kind: 'sampled', id, sample, sentAtMs: sentAt, heard: heardAtSend, number: probes });
        if (heard > heardAtSend) member.hurryAfterAny(minGapMs * togetherShare);
      },
      failed: (failure) => {
        const { problem, isStopped, isRefused = false } = failure;
        this.send(worker, { kind: 'failed', id, failure: { problem, isStopped, isRefused } });
      },
      intervalMs: () => hosted().intervalMs,
    };
  }

  private leave(worker: number, id: number, { database, member }: Hosted): void {
    this.byWorker.get(worker)?.delete(id);
    const left = (this.watched.get(database) ?? 1) - 1;
    if (left > 0) this.watched.set(database, left);
    else this.watched.delete(database);
    void member.leave();
  }

  private release(worker: number, database: string): void {
    this.catalogs.get(worker)?.delete(database);
    this.databases.releaseCatalog(worker, database);
  }
}
