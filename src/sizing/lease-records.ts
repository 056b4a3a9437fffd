/**
 * What leases.ts keeps: which worker has how many places of which pool, and how many of them count against each limit. Keeps
 * the sums right; decides nothing.
 */
import type { Shortage } from '../pool/budget-types.ts';
import type { ResizeRecord } from '../pool/types.ts';
import { leaseKey, userOf, type LeasedPool, type LeaseSize } from './lease-types.ts';

/** A limit, and the places that count against it. */
export class Level {
  readonly name: Shortage;
  limit = Infinity;
  taken = 0;
  /** During a decision: places that are being closed and that nobody has been promised yet. */
  incoming = 0;

  constructor(name: Shortage) {
    this.name = name;
  }

  get room(): number {
    return this.limit - this.taken;
  }
}

/** The part of one worker in one pool. */
export class Account {
  readonly worker: number;
  readonly pool: PoolRecord;
  isJoined = false;
  /** Places that the worker has: spare, logging in, open and closing. */
  held = 0;
  /** Since when it has had some, or none, without a break. */
  sinceMs = 0;
  /** Number of the last decision about the size that was sent to the worker. */
  lastSize = 0;
  /** As it said last (LeaseLoad), less what it has been granted since. */
  need = 0;
  closing = 0;
  wanted = 0;
  wantedForMin = 0;
  /** Since when it wants a place for clients and has not got it. */
  askedAtMs: number | undefined;
  /** Grants that the worker had not heard of when it sent its last load: number of the grant, places. */
  readonly unheard: [grant: number, count: number][] = [];
  /** Its fair part of the pool, and how many connections it is asked to close. Found anew by each decision. */
  target = 0;
  recalled = 0;
  readonly told = { keep: Infinity, isNext: false, floor: 0, short: undefined as Shortage | undefined };

  constructor(worker: number, pool: PoolRecord) {
    this.worker = worker;
    this.pool = pool;
  }

  /** Since when it has waited: if it has none, at most since it had one. */
  get waitingSinceMs(): number {
    const { askedAtMs = Infinity, sinceMs } = this;
    return this.kept > 0 ? askedAtMs : Math.max(askedAtMs, sinceMs);
  }

  /** Places whose connections are not being closed. */
  get kept(): number {
    return this.held - this.closing;
  }
}

/** A pool of the whole Weir. */
export class PoolRecord {
  readonly name: LeasedPool;
  readonly accounts = new Map<number, Account>();
  readonly own = new Level('pool');
  readonly database: Level;
  readonly user: Level;
  readonly server: ServerRecord;
  min = 0;
  /** Connections to be open ahead of a predicted load. Their places are free for those who have clients. */
  warm = 0;
  /** The last change of the limit. */
  lastResize: ResizeRecord | undefined;
  /** Places of workers that have died, until their backends are gone. */
  lost = 0;
  /** How many connections may be closed for the sake of another worker: grows with time. */
  moves = 0;
  movesAtMs: number | undefined;

  constructor(name: LeasedPool, server: ServerRecord) {
    this.name = name;
    this.database = server.database(name.database);
    this.user = server.user(userOf(name));
    this.server = server;
  }

  /** The workers together open so many without clients. */
  get least(): number {
    return Math.max(this.min, Math.min(this.warm, this.own.limit));
  }

  get room(): number {
    return Math.min(this.own.room, this.database.room, this.user.room, this.server.level.room);
  }

  /** All limits that its places count against, the innermost first. */
  get levels(): readonly Level[] {
    return [this.own, this.database, this.user, this.server.level];
  }

  /** The innermost limit that is reached. */
  get fullLevel(): Level | undefined {
    return this.levels.find((level) => level.room <= 0);
  }

  add(places: number): void {
    for (const level of this.levels) level.taken += places;
  }

  resize({ limit, min }: LeaseSize): void {
    this.own.limit = limit;
    this.min = min;
  }

  isUsedByOthers(than: Account): boolean {
    return [...this.accounts.values()].some((account) => account !== than && account.isJoined);
  }

  get size(): LeaseSize {
    return { limit: this.own.limit, min: this.min };
  }
}

/** A server, host and port, with the pools that have places there or may want some. */
export class ServerRecord {
  readonly level = new Level('node');
  readonly pools = new Map<string, PoolRecord>();
  /** max_db_connections, by the name of the database. */
  private readonly databases = new Map<string, Level>();
  /** max_user_connections, by the name of the user. */
  private readonly users = new Map<string, Level>();

  database(name: string): Level {
    let level = this.databases.get(name);
    if (level === undefined) this.databases.set(name, (level = new Level('database')));
    return level;
  }

  /** @param name undefined: connections that count against no limit of a user */
  user(name: string | undefined): Level {
    if (name === undefined) return new Level('user');
    let level = this.users.get(name);
    if (level === undefined) this.users.set(name, (level = new Level('user')));
    return level;
  }

  levelOf(database: string | undefined, user: string | undefined): Level {
    if (user !== undefined) return this.user(user);
    return database === undefined ? this.level : this.database(database);
  }

  /** max_db_connections, as far as it is known. */
  limits(): Iterable<readonly [name: string, level: Level]> {
    return this.databases;
  }

  /** max_user_connections, as far as it is known. */
  userLimits(): Iterable<readonly [name: string, level: Level]> {
    return this.users;
  }

  pool(name: LeasedPool): PoolRecord {
    const key = leaseKey(name);
    let pool = this.pools.get(key);
    if (pool === undefined) this.pools.set(key, (pool = new PoolRecord(name, this)));
    return pool;
  }

  find(name: LeasedPool): PoolRecord | undefined {
    return this.pools.get(leaseKey(name));
  }

  /** The worker has left the pool: nothing is kept that nobody needs any more. */
  tidy(pool: PoolRecord): void {
    for (const [worker, account] of pool.accounts) {
      if (!account.isJoined && account.held === 0) pool.accounts.delete(worker);
    }
    if (pool.accounts.size > 0 || pool.lost > 0) return;
    this.pools.delete(leaseKey(pool.name));
    const { database } = pool.name;
    const user = userOf(pool.name);
    const others = [...this.pools.values()].map(({ name }) => name);
    if (!others.some((other) => other.database === database)) this.databases.delete(database);
    if (user !== undefined && !others.some((other) => userOf(other) === user)) this.users.delete(user);
  }

  /** What the workers need, and what its pools may have by their own limits. */
  demand(): { readonly need: number; readonly most: number } {
    let need = 0;
    let most = 0;
    for (const { accounts, own } of this.pools.values()) {
      let ofPool = 0;
      for (const account of accounts.values()) ofPool += account.need;
      need += Math.min(ofPool, own.limit);
      most += own.limit;
    }
    return { need, most };
  }

  *accounts(): Iterable<Account> {
    for (const pool of this.pools.values()) yield* pool.accounts.values();
  }
}
