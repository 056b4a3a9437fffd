/**
 * What counts for all workers together: settings, max_client_conn, places for server connections, stamps of the cache, which
 * writes all know of, the lead, sizes of pools, rate limits. Made by the supervisor, which tells it of each worker.
 */
import { randomUUID } from 'node:crypto';
import type { SharedMemoryState } from '../cache/shared-memory.ts';
import type { Config } from '../config/config.ts';
import { CentralBuckets } from '../limits/central.ts';
import type { BucketState } from '../limits/types.ts';
import type { Log } from '../observability/types.ts';
import { resizeLine } from '../pool/resize-words.ts';
import type { ResizeRecord } from '../pool/types.ts';
import type { LeasedPool } from '../sizing/lease-types.ts';
import { HeardByAll } from './known-writes.ts';
import { Lead, type FollowerState, type LeadState } from './lead.ts';
import { Lessor, type LessorState, type OpenedPlaces } from './lessor.ts';
import { whenGone } from './lost-places.ts';
import { Resizes } from './resizes.ts';
import { onlyInAll } from '../util/client-counts.ts';
import { Seats } from './seats.ts';
import type { EndMode } from './messages.ts';
import { endWithinMs, isEndless, SettingsInForce } from './settings-in-force.ts';
import { supervisorSettings, type SupervisorSettings } from './settings-topics.ts';
import { awake, killHung } from './silent-workers.ts';
import { Stamps, type StampLinkState } from './stamps.ts';
import type { WorkerProcess } from './worker-process.ts';

export interface ForAllOptions {
  readonly config: Config;
  readonly log: Log;
  readonly nowMs: () => number;
  /** The workers that serve. */
  ready(): Iterable<WorkerProcess>;
  /** All that have clients, also those that end. */
  serving(): Iterable<WorkerProcess>;
  /** Grows with each change of sizes by operators; undefined while one is under way. */
  sizesVersion(): number | undefined;
  /** The limit of a pool has changed. */
  resized(resize: ResizeRecord): void;
  unexpected(error: unknown): void;
  /** Of the supervisor whose place this one takes. */
  readonly state?: ForAllState | undefined;
}

/** Survives a structured clone. */
export interface ForAllState {
  readonly lastId: number;
  readonly lessor: LessorState;
  readonly lead: LeadState;
  readonly settings: SupervisorSettings;
  readonly stamps: { readonly name: string; readonly memory: SharedMemoryState };
  /** undefined: that supervisor knew no rate limits. */
  readonly buckets?: readonly BucketState[];
}

/** What is known of one worker. */
export interface WorkerForAll {
  /** As the account of places has it. */
  readonly id: number;
  readonly opened: OpenedPlaces;
  readonly follower: FollowerState;
  readonly stamps: StampLinkState;
}

export class ForAll {
  private readonly options: ForAllOptions;
  private readonly seats: Seats;
  private readonly lessor: Lessor;
  private readonly lead: Lead;
  private readonly stamps: Stamps;
  private readonly heard: HeardByAll;
  private readonly resizes: Resizes;
  private readonly inForce: SettingsInForce;
  private readonly buckets: CentralBuckets;
  /** Of this memory of stamps. */
  private readonly name: string;
  private readonly ids = new Map<WorkerProcess, number>();
  private lastId: number;

  constructor(options: ForAllOptions) {
    this.options = options;
    const { config, log, nowMs, unexpected, state } = options;
    this.lastId = state?.lastId ?? 0;
    this.name = state?.stamps.name ?? randomUUID();
    this.inForce = new SettingsInForce(state?.settings ?? supervisorSettings(config));
    this.buckets = new CentralBuckets(nowMs, state?.buckets);
    this.seats = new Seats(() => this.settings.clientLimits ?? onlyInAll(this.settings.maxClientConn));
    this.lessor = this.makeLessor();
    this.lead = new Lead(log, nowMs, state?.lead);
    this.stamps = new Stamps({
      now: nowMs,
      name: this.name,
      maxBytes: config.cache.maxMemoryBytes,
      isFirst: true,
      unexpected,
      state: state?.stamps.memory,
    });
    this.heard = new HeardByAll(nowMs, options.serving);
    const { lead, lessor } = this;
    this.resizes = new Resizes({ lead, lessor, sizesVersion: () => options.sizesVersion(), log });
  }

  private makeLessor(): Lessor {
    const { nowMs, unexpected, state } = this.options;
    const options = {
      asked: () => [...this.options.ready()][0],
      connectTimeoutMs: () => this.settings.serverConnectTimeoutMs,
    };
    return new Lessor({
      nowMs,
      unexpected,
      whenGone: (places) => whenGone(places, options),
      resized: (pool, resize, isProven) => this.resized(pool, resize, isProven),
      // All workers are told to end at once; one that is replaced ends when the next one is ready.
      isEnding: () => [...this.options.ready()].length === 0,
      state: state?.lessor,
    });
  }

  private resized(pool: LeasedPool, resize: ResizeRecord, isProven: boolean): void {
    this.options.resized(resize);
    // Without a successful log-in the name may be a typing error: its pools are not logged.
    if (!isProven) return;
    const { message, fields } = resizeLine({ ...pool, user: pool.user ?? '' }, resize);
    this.options.log('info', 'pool_resize', message, fields);
  }

  /**
   * Call it before anything that the worker says can be heard.
   * @param since what the supervisor before knew of it
   * @returns call it when the process of the worker has ended
   */
  attach(worker: WorkerProcess, since?: WorkerForAll): () => void {
    const { channel } = worker;
    const id = since?.id ?? ++this.lastId;
    this.ids.set(worker, id);
    const end = this.stamps.attach(channel, since?.stamps);
    const leaveLead = this.lead.attach(worker, since?.follower);
    this.lessor.add(id, channel, () => worker.state === 'starting', since?.opened);
    this.resizes.attach(channel);
    channel.on('writes', (writes) => this.heard.ask(channel, writes));
    this.seats.goOn(worker);
    this.inForce.attach(worker);
    channel.on('budgetActions', ({ term, actions }) => {
      if (!this.lead.isLeading(channel, term)) return;
      for (const each of this.options.serving()) if (each !== worker) each.channel.tell('budgetActions', actions);
    });
    channel.on('decode', (database) => this.lead.tell('decode', database));
    channel.on('covered', ({ term, database }) => {
      if (!this.lead.isLeading(channel, term)) return;
      for (const each of this.options.serving()) if (each !== worker) each.channel.tell('covered', database);
    });
    channel.on('limits', (spent) => this.buckets.exchange(spent));
    channel.on('enter', (guest) => this.seats.tryEnter(worker, guest));
    channel.on('arrived', (guest) => this.seats.arrived(worker, guest));
    channel.on('left', (who) => this.seats.leave(worker, who));
    return () => {
      this.ids.delete(worker);
      end.processEnded();
      this.seats.leaveAll(worker);
      leaveLead();
    };
  }

  /** As they are in force now. */
  get settings(): SupervisorSettings {
    return this.inForce.current;
  }

  /** Calls `act` when workers that are told to end take too long; undefined: such an end has no limit. */
  onceLate(mode: EndMode, act: () => void): NodeJS.Timeout | undefined {
    return isEndless(this.settings, mode) ? undefined : setTimeout(act, endWithinMs(this.settings, mode));
  }

  /** The worker could serve, and does now. */
  serves(worker: WorkerProcess): void {
    this.inForce.serves(worker);
  }

  /** Call it when all workers of the supervisor before are attached. */
  goOn(): void {
    this.lessor.goOn();
  }

  /** The workers that may be given clients. */
  takers(): readonly WorkerProcess[] {
    return awake(this.options.ready(), (worker) => this.lead.silentMs(worker));
  }

  sweep(): void {
    this.lead.sweep();
    killHung(this.options.ready(), (worker) => this.lead.silentMs(worker), this.options.log);
  }

  /** For the next supervisor. Ask for this first: it sends what is due. */
  state(): ForAllState {
    const { lastId, name } = this;
    const stamps = { name, memory: this.stamps.state() };
    const buckets = this.buckets.state();
    return { lastId, lessor: this.lessor.state(), lead: this.lead.state(), settings: this.settings, stamps, buckets };
  }

  stateOf(worker: WorkerProcess): WorkerForAll {
    const id = this.ids.get(worker) ?? 0;
    const stamps = this.stamps.stateOf(worker.channel);
    return { id, opened: this.lessor.openedBy(id), follower: this.lead.stateOf(worker), stamps };
  }

  stop(): void {
    this.lead.stop();
    this.lessor.stop();
    this.stamps.stop();
  }
}
