/**
 * The supervisor's side of the leases of places: hears what the workers need, asks sizing/leases.ts, and tells the workers what
 * it decides. Knows the backend of each place, so that those of a worker that dies are free only when they have ended. The
 * other end is leased-places.ts.
 */
import type { OwnShareState } from '../shares/own-share.ts';
import { Leases } from '../sizing/leases.ts';
import type { LeasesState } from '../sizing/lease-state.ts';
import { leaseKey, serverOfKey, type LeaseDecision, type LeasedPool } from '../sizing/lease-types.ts';
import type { ResizeRecord } from '../pool/types.ts';
import type { WorkerChannel } from './messages.ts';
import type { WarmPool } from './resize-messages.ts';
import { SupervisorShares } from './supervisor-shares.ts';

/** A place whose connection was lost: its backend may still run. */
export interface LostPlace {
  readonly pool: LeasedPool;
  readonly host: string;
  readonly port: number;
  /** Undefined: its log-in was under way. */
  readonly processId: number | undefined;
  /** How long ago its log-in was complete, as far as it was. */
  readonly openForMs: number;
}

export interface LessorOptions {
  nowMs(): number;
  /** One promise for each place, which resolves when its backend is known to be gone. After a rejection it is asked for anew. */
  whenGone(places: readonly LostPlace[]): readonly Promise<void>[];
  /** The limit of a pool has changed, whoever did that. @param isProven the server has let somebody log in to the database */
  resized(pool: LeasedPool, resize: ResizeRecord, isProven: boolean): void;
  unexpected(error: unknown): void;
  /** Weir ends, not only one of its workers. */
  isEnding(): boolean;
  /** Of the supervisor whose place this one takes. */
  readonly state?: LessorState | undefined;
}

/** For the next supervisor; survives a structured clone. */
export interface LessorState {
  readonly leases: LeasesState;
  /** Of what several Weirs have together. */
  readonly shares: ReadonlyMap<string, OwnShareState>;
  readonly proven: ReadonlySet<string>;
  /** Places whose backends may still run. */
  readonly lost: readonly LostPlace[];
}

interface Opened {
  readonly processId: number;
  readonly atMs: number;
}

/** Open connections by pool (leaseKey) and the worker's number of the place. */
export type OpenedPlaces = ReadonlyMap<string, ReadonlyMap<number, Opened>>;

interface Worker {
  readonly channel: WorkerChannel;
  isStarting(): boolean;
  /** By pool (leaseKey) and the worker's number of the place. */
  readonly opened: Map<string, Map<number, Opened>>;
}

/** After whenGone() has failed: perhaps the worker that was asked has died, too. */
const askAgainMs = 1_000;

export class Lessor {
  private readonly options: LessorOptions;
  private readonly leases: Leases;
  private readonly shares: SupervisorShares;
  private readonly workers = new Map<number, Worker>();
  /** Databases to which somebody could log in. */
  private readonly proven: Set<string>;
  /** Places whose backends may still run. */
  private readonly lost: Set<LostPlace>;
  private timer: NodeJS.Timeout | undefined;
  private isStopped = false;

  constructor(options: LessorOptions) {
    const { state } = options;
    this.options = options;
    this.leases = new Leases(state?.leases);
    this.shares = new SupervisorShares({
      leases: this.leases,
      nowMs: options.nowMs,
      pids: (server) => this.pidsAt(server),
      changed: () => this.decide(),
      isEnding: () => options.isEnding(),
      state: state?.shares,
    });
    this.proven = new Set(state?.proven);
    this.lost = new Set(state?.lost);
  }

  /** Call it when all workers of the supervisor before are added. */
  goOn(): void {
    this.wait([...this.lost]);
    this.decide();
  }

  state(): LessorState {
    const { leases, shares, proven, lost } = this;
    return { leases: leases.state(), shares: shares.state(), proven, lost: [...lost] };
  }

  /** Where the worker has connections, for the next supervisor. */
  openedBy(id: number): OpenedPlaces {
    return this.workers.get(id)?.opened ?? new Map();
  }

  /**
   * @param id never used before, but by the same worker with the supervisor before
   * @param isStarting it does not serve yet
   * @param opened where it has connections, as that supervisor knew
   */
  add(id: number, channel: WorkerChannel, isStarting = (): boolean => false, opened: OpenedPlaces = new Map()): void {
    const places = Array.from(opened, ([key, backends]) => [key, new Map(backends)] as const);
    const worker = { channel, opened: new Map(places), isStarting };
    this.workers.set(id, worker);
    this.listen(id, worker);
    this.shares.attach(channel);
    channel.onClosed(() => this.died(id, worker));
  }

  /** Changes the limit of a pool for all workers together, if it is still the one from which that was decided. */
  resize(pool: LeasedPool, resize: ResizeRecord): void {
    const size = this.leases.sizeOf(pool);
    if (size?.limit !== resize.from) return;
    this.leases.setSize(pool, { limit: resize.to, min: size.min }, resize);
    this.resized(pool, resize);
    this.decide();
  }

  /** Connections to be open ahead of a load, in all workers together; none in other pools. */
  keepWarm(pools: readonly WarmPool[]): void {
    this.leases.keepWarm(new Map(pools.map(({ pool, count }) => [leaseKey(pool), count])));
    this.decide();
  }

  private resized(pool: LeasedPool, resize: ResizeRecord): void {
    this.options.resized(pool, resize, this.proven.has(pool.database));
  }

  /** What a server can spare for all databases and workers. */
  setServerLimit(server: string, limit: number): void {
    this.leases.setLimit(server, undefined, limit);
    this.decide();
  }

  /** Places that the worker has. */
  placesOf(id: number): number {
    return this.leases.placesOf(id);
  }

  stop(): void {
    this.isStopped = true;
    clearTimeout(this.timer);
  }

  /* ---- what workers say ---- */

  private listen(id: number, { channel, opened, isStarting }: Worker): void {
    const { leases, options } = this;
    channel.on('leaseJoin', ({ pool, size }) => {
      leases.join(id, pool, size);
      return this.decide();
    });
    channel.on('leaseLeave', (pool) => {
      leases.leave(id, pool);
      return this.decide();
    });
    channel.on('leaseSize', (said) => {
      const resize = leases.sizeSaid(id, said, isStarting());
      if (resize !== undefined) this.resized(said.pool, resize);
      return this.decide();
    });
    channel.on('leaseLimit', ({ server, database, user, limit }) => {
      if (database === undefined && user === undefined) this.shares.spared(server, limit);
      else leases.setLimit(server, database, limit, user);
      return this.decide();
    });
    channel.on('leaseLoads', ({ heard, loads }) => {
      for (const { pool, load } of loads) leases.load(id, pool, heard, load, options.nowMs());
      return this.decide();
    });
    channel.on('leaseOpened', ({ pool, place, processId }) => {
      const key = leaseKey(pool);
      this.proven.add(pool.database);
      const places = opened.get(key) ?? new Map<number, Opened>();
      opened.set(key, places.set(place, { processId, atMs: options.nowMs() }));
      return undefined;
    });
    channel.on('leaseVacated', ({ pool, place }) => void this.close(opened, pool, place));
    channel.on('leaseReturned', ({ pool, place, isGone }) => {
      const backend = place === undefined ? undefined : this.close(opened, pool, place);
      if (isGone) {
        leases.returned(id, pool, place !== undefined, options.nowMs());
      } else {
        leases.lost(id, pool, options.nowMs());
        this.wait([this.lostPlace(pool, backend)]);
      }
      return this.decide();
    });
  }

  /** The backends of all workers at the server, lost ones included. */
  private pidsAt(server: string): readonly number[] {
    const pids: number[] = [];
    for (const { opened } of this.workers.values())
      for (const [key, places] of opened)
        if (serverOfKey(key) === server) for (const { processId } of places.values()) pids.push(processId);
    for (const { pool, processId } of this.lost)
      if (pool.server === server && processId !== undefined) pids.push(processId);
    return pids;
  }

  private close(opened: Worker['opened'], pool: LeasedPool, place: number): Opened | undefined {
    const key = leaseKey(pool);
    const places = opened.get(key);
    const backend = places?.get(place);
    places?.delete(place);
    if (places?.size === 0) opened.delete(key);
    return backend;
  }

  private died(id: number, { opened }: Worker): void {
    this.workers.delete(id);
    if (this.isStopped) return;
    const lost: LostPlace[] = [];
    for (const { pool, places } of this.leases.died(id)) {
      const backends: (Opened | undefined)[] = [...(opened.get(leaseKey(pool))?.values() ?? [])];
      // The others were spare, or their log-ins were under way.
      while (backends.length < places) backends.push(undefined);
      for (const backend of backends) lost.push(this.lostPlace(pool, backend));
    }
    this.wait(lost);
    this.decide();
  }

  /* ---- lost places ---- */

  private lostPlace(pool: LeasedPool, backend: Opened | undefined): LostPlace {
    const colon = pool.server.lastIndexOf(':');
    return {
      pool,
      host: pool.server.slice(0, colon),
      port: Number(pool.server.slice(colon + 1)),
      processId: backend?.processId,
      openForMs: backend === undefined ? 0 : this.options.nowMs() - backend.atMs,
    };
  }

  private wait(lost: readonly LostPlace[]): void {
    if (lost.length === 0 || this.isStopped) return;
    const ends = this.options.whenGone(lost);
    lost.forEach((place, index) => {
      this.lost.add(place);
      (ends[index] ?? Promise.reject(new Error('whenGone() has no promise for a place'))).then(
        () => {
          this.lost.delete(place);
          this.leases.freed(place.pool);
          this.decide();
        },
        () => void setTimeout(() => this.wait([place]), askAgainMs).unref(),
      );
    });
  }

  /* ---- what they are told ---- */

  private decide(): undefined {
    clearTimeout(this.timer);
    if (this.isStopped) return undefined;
    const nowMs = this.options.nowMs();
    this.shares.apply();
    const { decisions, againAtMs } = this.leases.decide(nowMs);
    const byWorker = new Map<number, LeaseDecision[]>();
    for (const decision of decisions) {
      const list = byWorker.get(decision.worker);
      if (list === undefined) byWorker.set(decision.worker, [decision]);
      else list.push(decision);
    }
    for (const [worker, list] of byWorker) this.workers.get(worker)?.channel.tell('leases', list);
    if (againAtMs !== undefined) this.timer = setTimeout(() => this.decide(), againAtMs - nowMs).unref();
    return undefined;
  }
}
