/**
 * Workers with clients, and the supervisor's Leases between them, in one process with a clock of its own. Messages arrive in
 * order, some milliseconds late; log-ins and closing take time; workers die between any two messages. After each step the
 * limits are checked against what a server would see.
 */
import { isDeepStrictEqual } from 'node:util';
import { Leases } from '../../src/sizing/leases.ts';
import { leaseKey, type LeaseDecision, type LeasedPool, type LeaseSize } from '../../src/sizing/lease-types.ts';

export type WorldPool = LeasedPool;

type Connection = 'logging in' | 'busy' | 'idle' | 'closing';

/** What a worker has in one pool: pool/logins.ts and workers/leased-places.ts, in few lines. */
class Part {
  readonly pool: LeasedPool;
  readonly connections: { state: Connection; untilMs: number }[] = [];
  size: LeaseSize;
  clients = 0;
  keep = Infinity;
  isNext = false;
  floor = 0;
  told = '';
  needs: number[] = [];

  constructor(pool: LeasedPool, size: LeaseSize) {
    this.pool = pool;
    this.size = size;
  }

  count(...states: Connection[]): number {
    return this.connections.filter(({ state }) => states.includes(state)).length;
  }

  get waiting(): number {
    return Math.max(0, this.clients - this.count('busy'));
  }

  get kept(): number {
    return this.connections.length - this.count('closing');
  }
}

class Worker {
  readonly id: number;
  readonly parts = new Map<string, Part>();
  isAlive = true;
  heard = 0;
  reportAtMs = 0;
  private readonly world: LeaseWorld;

  constructor(id: number, world: LeaseWorld) {
    this.id = id;
    this.world = world;
  }

  /** Clients that want a connection all the time. */
  clients(pool: LeasedPool, clients: number): void {
    this.part(pool).clients = clients;
  }

  open(pool: LeasedPool): number {
    return this.part(pool).count('busy', 'idle');
  }

  part(pool: LeasedPool): Part {
    return this.parts.get(leaseKey(pool)) as Part;
  }

  step(nowMs: number): void {
    for (const part of this.parts.values()) this.stepPart(part, nowMs);
    if (nowMs >= this.reportAtMs) {
      this.reportAtMs = nowMs + 20;
      for (const part of this.parts.values()) this.report(part, true);
    }
  }

  private stepPart(part: Part, nowMs: number): void {
    for (const connection of [...part.connections]) {
      const isOver = nowMs >= connection.untilMs;
      if (connection.state === 'closing' && isOver) {
        part.connections.splice(part.connections.indexOf(connection), 1);
        this.world.say(this, (leases) => leases.returned(this.id, part.pool, true, this.world.nowMs));
      } else if (isOver && connection.state === 'logging in') connection.state = 'idle';
      else if (isOver && connection.state === 'busy') {
        connection.state = 'idle';
        const isAbove = part.kept > part.size.limit || (part.isNext && part.kept > part.keep);
        if (isAbove) this.world.close(connection);
      }
    }
    for (const connection of part.connections) {
      if (connection.state !== 'idle') continue;
      if (part.waiting > 0) {
        connection.state = 'busy';
        connection.untilMs = nowMs + this.world.draw(1, 10);
      } else if (part.kept > part.keep || part.kept > part.size.limit) this.world.close(connection);
    }
    const { wanted, wantedForMin } = this.load(part, false);
    if (wanted + wantedForMin > 0 && !part.told.includes('asks')) this.report(part, false);
  }

  private load(part: Part, isSampled: boolean) {
    const logins = part.count('logging in');
    const most = Math.min(part.size.limit - part.kept, (part.kept - logins === 0 ? 4 : 2) - logins);
    const need = Math.min(part.size.limit, part.count('busy') + part.waiting);
    if (isSampled) part.needs = [...part.needs.slice(-2), need];
    return {
      need: Math.max(need, ...part.needs),
      closing: part.count('closing'),
      wanted: Math.max(0, Math.min(part.waiting - logins, most)),
      wantedForMin: Math.max(0, Math.min(part.floor - part.kept, most)),
    };
  }

  private report(part: Part, isSampled: boolean): void {
    const load = this.load(part, isSampled);
    const told = JSON.stringify(load) + (load.wanted + load.wantedForMin > 0 ? 'asks' : '');
    if (told === part.told) return;
    part.told = told;
    const { heard } = this;
    this.world.say(this, (leases) => leases.load(this.id, part.pool, heard, load, this.world.nowMs));
  }

  hear(decision: LeaseDecision): void {
    const part = this.parts.get(leaseKey(decision.pool)) as Part;
    if (decision.kind === 'recall') ({ keep: part.keep, isNext: part.isNext } = decision);
    if (decision.kind === 'floor') part.floor = decision.count;
    if (decision.kind === 'size') part.size = decision.size;
    if (decision.kind === 'grant') this.granted(part, decision.count);
  }

  private granted(part: Part, count: number): void {
    this.heard++;
    part.told = '';
    const { wanted, wantedForMin } = this.load(part, false);
    for (let i = 0; i < count; i++) {
      if (i >= Math.max(wanted, wantedForMin))
        this.world.say(this, (leases) => leases.returned(this.id, part.pool, false, this.world.nowMs));
      else part.connections.push({ state: 'logging in', untilMs: this.world.nowMs + this.world.draw(2, 12) });
    }
  }
}

export class LeaseWorld {
  nowMs = 0;
  /** Connections that were closed. */
  closes = 0;
  readonly history: string[] = [];
  /** Of the supervisor that works now. */
  leases = new Leases();
  readonly workers = new Map<number, Worker>();
  /** Backends of workers that have died, by pool. */
  private readonly orphans: { pool: LeasedPool; untilMs: number }[] = [];
  private readonly mail: { atMs: number; run: () => void }[] = [];
  private readonly lastMailMs = new Map<string, number>();
  private readonly sizes = new Map<string, LeaseSize>();
  private readonly pools = new Map<string, LeasedPool>();
  private readonly limits = new Map<string, number>();
  private againAtMs = Infinity;
  private lastId = 0;
  private state: number;

  constructor(seed: number) {
    this.state = seed + 1;
  }

  /* ---- chance ---- */

  /** A whole number from `from` to `to` (mulberry32). */
  draw(from: number, to: number): number {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return from + Math.floor((((t ^ (t >>> 14)) >>> 0) / 4_294_967_296) * (to - from + 1));
  }

  /* ---- what a test does ---- */

  start(pools: readonly (readonly [LeasedPool, LeaseSize])[]): Worker {
    const worker = new Worker(++this.lastId, this);
    this.workers.set(worker.id, worker);
    for (const [pool, size] of pools) {
      this.pools.set(leaseKey(pool), pool);
      if (!this.sizes.has(leaseKey(pool))) this.sizes.set(leaseKey(pool), size);
      const now = this.sizes.get(leaseKey(pool)) ?? size;
      worker.parts.set(leaseKey(pool), new Part(pool, now));
      this.say(worker, (leases) => {
        // As leased-budget.ts: the supervisor forgets it when a database has no pool any more.
        const limit = this.limits.get(`${pool.server}/${pool.database}`);
        if (limit !== undefined) leases.setLimit(pool.server, pool.database, limit);
        leases.join(worker.id, pool, now);
      });
    }
    this.history.push(`${this.nowMs}: worker ${worker.id} starts`);
    return worker;
  }

  die(worker: Worker, gonesAfterMs: number): void {
    this.history.push(`${this.nowMs}: worker ${worker.id} dies`);
    worker.isAlive = false;
    this.workers.delete(worker.id);
    // Backends live on for a while; a place whose use the supervisor does not know, too.
    for (const part of worker.parts.values())
      for (const _ of part.connections) this.orphans.push({ pool: part.pool, untilMs: this.nowMs + gonesAfterMs });
    const untilMs = this.nowMs + gonesAfterMs;
    for (const { pool, places } of this.leases.died(worker.id)) {
      for (let i = 0; i < places; i++) {
        this.mail.push({ atMs: untilMs + this.draw(0, 20), run: () => this.leases.freed(pool) });
      }
    }
  }

  resize(pool: LeasedPool, size: LeaseSize): void {
    if (this.leases.sizeOf(pool) === undefined) return;
    this.history.push(`${this.nowMs}: ${leaseKey(pool)} ${JSON.stringify(size)}`);
    this.sizes.set(leaseKey(pool), size);
    this.leases.setSize(pool, size);
  }

  limitServer(server: string, limit: number): void {
    this.limits.set(server, limit);
    this.leases.setLimit(server, undefined, limit);
  }

  limitDatabase(server: string, database: string, limit: number): void {
    this.limits.set(`${server}/${database}`, limit);
    this.leases.setLimit(server, database, limit);
  }

  /** Another supervisor goes on with the state of this one. */
  succeed(): void {
    this.decide();
    const state = structuredClone(this.leases.state());
    this.leases = new Leases(state);
    if (!isDeepStrictEqual(this.leases.state(), state)) throw new Error('the state is not what it was');
    this.decide();
  }

  pass(ms: number): void {
    for (let i = 0; i < ms; i++) this.step();
  }

  /* ---- time ---- */

  say(worker: Worker, run: (leases: Leases) => void): void {
    this.post(`from ${worker.id}`, () => void (worker.isAlive && run(this.leases)));
  }

  close(connection: { state: Connection; untilMs: number }): void {
    this.closes++;
    connection.state = 'closing';
    connection.untilMs = this.nowMs + this.draw(1, 15);
  }

  private post(channel: string, run: () => void): void {
    const atMs = Math.max(this.nowMs + this.draw(0, 3), this.lastMailMs.get(channel) ?? 0);
    this.lastMailMs.set(channel, atMs);
    this.mail.push({ atMs, run });
  }

  private step(): void {
    this.nowMs++;
    for (let at = 0; at < this.mail.length;) {
      const letter = this.mail[at] as (typeof this.mail)[0];
      if (letter.atMs > this.nowMs) {
        at++;
        continue;
      }
      this.mail.splice(at, 1);
      letter.run();
      this.decide();
    }
    if (this.nowMs >= this.againAtMs) this.decide();
    for (const worker of this.workers.values()) worker.step(this.nowMs);
    for (let at = this.orphans.length - 1; at >= 0; at--)
      if ((this.orphans[at]?.untilMs ?? 0) <= this.nowMs) this.orphans.splice(at, 1);
    this.check();
  }

  private decide(): void {
    const { decisions, againAtMs } = this.leases.decide(this.nowMs);
    this.againAtMs = againAtMs ?? Infinity;
    for (const decision of decisions) {
      const worker = this.workers.get(decision.worker);
      if (worker === undefined) throw new Error(`a decision for worker ${decision.worker}, which is dead`);
      this.post(`to ${worker.id}`, () => void (worker.isAlive && worker.hear(decision)));
    }
  }

  /* ---- what must be true ---- */

  /** Places that the supervisor counted in the step before, by limit. */
  private readonly taken = new Map<string, number>();

  /** The server sees no more connections than there are places, and of these no more than the limits, unless one was lowered. */
  private check(): void {
    const seen = new Map<string, number>();
    const see = (pool: LeasedPool): void => {
      for (const key of keysOf(pool)) seen.set(key, (seen.get(key) ?? 0) + 1);
    };
    for (const worker of this.workers.values())
      for (const part of worker.parts.values()) for (const _ of part.connections) see(part.pool);
    for (const { pool } of this.orphans) see(pool);
    // Levels without a connection, too: their places are granted, or of a worker that has died. Of a pool that no worker uses
    // any more, nothing is known of its database.
    const taken = new Map<string, number>();
    for (const pool of this.pools.values()) {
      const { pool: own, database, server } = this.leases.taken(pool);
      keysOf(pool).forEach((key, index) => {
        taken.set(key, Math.max(taken.get(key) ?? 0, [own, database, server][index] ?? 0));
      });
    }
    const limits = new Map([...this.pools].map(([key, pool]) => [key, this.leases.sizeOf(pool)?.limit]));
    for (const [key, places] of taken) this.checkLevel(key, places, seen, limits.get(key));
  }

  private checkLevel(key: string, taken: number, seen: ReadonlyMap<string, number>, size?: number): void {
    const connections = seen.get(key) ?? 0;
    if (connections > taken) throw new Error(`${key}: ${connections} connections for ${taken} places`);
    const limit = size ?? this.limits.get(key) ?? Infinity;
    if (taken > Math.max(limit, this.taken.get(key) ?? 0))
      throw new Error(`${key}: ${taken} places, ${limit} are allowed`);
    this.taken.set(key, taken);
  }

  /* ---- random histories ---- */

  /** @param everySteps another supervisor takes over after so many steps, again and again */
  live(pools: readonly LeasedPool[], steps: number, everySteps = Infinity): void {
    const sizes = pools.map((pool) => [pool, { limit: this.draw(1, 10), min: this.draw(0, 2) }] as const);
    if (this.draw(0, 1) === 1) this.limitServer('db:5432', this.draw(3, 15));
    if (this.draw(0, 1) === 1) this.limitDatabase('db:5432', 'shop', this.draw(2, 10));
    for (let i = this.draw(2, 4); i > 0; i--) this.start(sizes);
    for (let i = 0; i < steps; i++) {
      this.act(pools, sizes);
      this.pass(this.draw(1, 15));
      if (i % everySteps === 0) this.succeed();
    }
  }

  private act(pools: readonly LeasedPool[], sizes: readonly (readonly [LeasedPool, LeaseSize])[]): void {
    const workers = [...this.workers.values()];
    const worker = workers[this.draw(0, workers.length - 1)] as Worker;
    const pool = pools[this.draw(0, pools.length - 1)] as LeasedPool;
    const chance = this.draw(0, 99);
    if (chance < 60) worker.clients(pool, this.draw(0, 3) === 0 ? 0 : this.draw(0, 12));
    else if (chance < 64 && workers.length > 1) this.die(worker, this.draw(1, 200));
    else if (chance < 68 && workers.length < 5) this.start(sizes);
    else if (chance < 74) {
      const size = { limit: this.draw(1, 10), min: this.draw(0, 2) };
      this.resize(pool, size);
    }
  }

  /** Without clients everything comes back, but for idle connections within the limits; then without workers all. */
  comeToRest(pools: readonly LeasedPool[]): void {
    for (const worker of this.workers.values()) for (const part of worker.parts.values()) part.clients = 0;
    this.pass(300);
    for (const worker of this.workers.values()) {
      let places = 0;
      for (const part of worker.parts.values()) places += part.connections.length;
      const known = this.leases.placesOf(worker.id);
      if (known !== places) throw new Error(`worker ${worker.id} has ${places} places, the supervisor says ${known}`);
    }
    this.checkThatAllCanBeUsed();
    for (const worker of [...this.workers.values()]) this.die(worker, 5);
    this.pass(100);
    for (const pool of pools) {
      const { server } = this.leases.taken(pool);
      if (server !== 0) throw new Error(`${server} places are left`);
    }
  }

  /** One worker wants everything, and gets it from the others, which need nothing. */
  private checkThatAllCanBeUsed(): void {
    const [worker] = [...this.workers.values()];
    if (worker === undefined) return;
    const [part] = worker.parts.values();
    if (part === undefined) return;
    part.clients = 20;
    this.pass(100);
    if (worker.open(part.pool) === 0 && this.limitOf(part.pool) > 0)
      throw new Error(`worker ${worker.id} gets no connection, although the others need none`);
    this.pass(1_500);
    const open = worker.open(part.pool);
    const limit = this.sizes.get(leaseKey(part.pool))?.limit ?? 0;
    if (open < Math.min(limit, this.limitOf(part.pool)))
      throw new Error(`worker ${worker.id} has ${open} connections of ${limit}`);
  }

  /** What other pools leave, which keep their minimum. */
  private limitOf({ server, database }: LeasedPool): number {
    let ofServer = this.limits.get(server) ?? Infinity;
    let ofDatabase = this.limits.get(`${server}/${database}`) ?? Infinity;
    const [worker] = [...this.workers.values()];
    for (const part of [...(worker?.parts.values() ?? [])].slice(1)) {
      const min = Math.min(
        this.sizes.get(leaseKey(part.pool))?.min ?? 0,
        this.sizes.get(leaseKey(part.pool))?.limit ?? 0,
      );
      ofServer -= min;
      if (part.pool.database === database) ofDatabase -= min;
    }
    return Math.min(ofServer, ofDatabase);
  }
}

/** Of its limit, that of its database on the server, and that of the server. */
function keysOf(pool: LeasedPool): [string, string, string] {
  return [leaseKey(pool), `${pool.server}/${pool.database}`, pool.server];
}
