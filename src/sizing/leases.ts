/**
 * Decides which worker may open how many server connections: keeps account of the places of all pools, and after each message
 * of a worker says who gets places and who closes connections for others. Never gives more than a limit allows; a place is
 * free when its connection is known to be gone. No timers: the caller says what time it is. Used by workers/lessor.ts.
 */
import type { ResizeRecord } from '../pool/types.ts';
import { Recalls, findTargets } from './lease-recalls.ts';
import { Account, ServerRecord, type PoolRecord } from './lease-records.ts';
import { LeaseSizes } from './lease-sizes.ts';
import { restoreServers, stateOfServers, type LeasesState } from './lease-state.ts';
import type { LeaseDecision, LeaseLoad, LeasedPool, LeaseSize, SaidSize } from './lease-types.ts';

/** While a worker waits for a place, decide() is to be called again after this time. */
const againAfterMs = 10;

const nothing: LeasesState = { servers: [], grants: new Map(), sizes: new Map() };

export interface LeaseDecisions {
  /** To be sent in this order. */
  readonly decisions: readonly LeaseDecision[];
  /** When to decide again, even if nothing happens; undefined: not. */
  readonly againAtMs: number | undefined;
}

export class Leases {
  private readonly servers: Map<string, ServerRecord>;
  /** Servers of which something has changed since the last decision. */
  private readonly changed: Set<ServerRecord>;
  /** Grants sent to each worker. */
  private readonly grants: Map<number, number>;
  private decisions: LeaseDecision[] = [];
  private readonly sizes: LeaseSizes;

  /** @param state of the supervisor whose place this one takes */
  constructor({ servers, grants, sizes }: LeasesState = nothing) {
    this.servers = restoreServers(servers);
    this.changed = new Set(this.servers.values());
    this.grants = new Map(grants);
    this.sizes = new LeaseSizes((decision) => this.decisions.push(decision), sizes);
  }

  /** For the next supervisor. Call it when what was decided was sent. */
  state(): LeasesState {
    return { servers: stateOfServers(this.servers), grants: this.grants, sizes: this.sizes.state() };
  }

  /* ---- what happens ---- */

  /** A worker uses the pool. Its size counts only if no other worker uses it yet. */
  join(worker: number, name: LeasedPool, size: LeaseSize): void {
    const pool = this.change(name.server).pool(name);
    const isNew = pool.accounts.size === 0;
    const account = this.accountOf(worker, pool);
    if (isNew) pool.resize(size);
    else if (pool.own.limit !== size.limit || pool.min !== size.min) this.sizes.tell(account);
    account.isJoined = true;
    this.sizes.shareMinimum(pool);
  }

  /** It does not any more, and gives back what it still has. */
  leave(worker: number, name: LeasedPool): void {
    const account = this.find(worker, name);
    if (account === undefined) return;
    account.isJoined = false;
    account.wanted = account.wantedForMin = 0;
    account.askedAtMs = undefined;
    this.sizes.shareMinimum(account.pool);
    this.change(name.server).tidy(account.pool);
  }

  /** The size of a pool that is in use, for all workers. @param resize the change, if the limit is another one now */
  setSize(name: LeasedPool, size: LeaseSize, resize?: ResizeRecord): void {
    const pool = this.servers.get(name.server)?.find(name);
    if (pool === undefined) return;
    this.change(name.server);
    this.sizes.set(pool, size, resize);
  }

  /**
   * The pool has another size in one worker, as it has in the others or will have: an operator has changed it there.
   * @param isStarting it does what operators had set before, while the pool may have another size since
   * @returns the change, if it is new and one of the limit
   */
  sizeSaid(worker: number, said: SaidSize, isStarting = false): ResizeRecord | undefined {
    const account = this.find(worker, said.pool);
    if (account === undefined) return undefined;
    this.change(said.pool.server);
    return this.sizes.said(account, said, isStarting);
  }

  /** Connections to be open ahead of a load, by leaseKey(); none in other pools. */
  keepWarm(counts: ReadonlyMap<string, number>): void {
    for (const server of this.sizes.keepWarm(this.servers.values(), counts)) this.changed.add(server);
  }

  /** What the server can spare, or with `database` max_db_connections, with `user` max_user_connections. */
  setLimit(address: string, database: string | undefined, limit: number, user?: string): void {
    this.change(address).levelOf(database, user).limit = limit;
  }

  /** @param heard how many grants the worker had heard of when it said that */
  load(worker: number, name: LeasedPool, heard: number, load: LeaseLoad, nowMs: number): void {
    const account = this.find(worker, name);
    if (account === undefined) return;
    this.change(name.server);
    const { unheard } = account;
    while (unheard.length > 0 && (unheard[0]?.[0] ?? 0) <= heard) unheard.shift();
    const onTheWay = unheard.reduce((sum, [, count]) => sum + count, 0);
    account.need = load.need;
    account.closing = load.closing;
    account.wanted = Math.max(0, load.wanted - onTheWay);
    account.wantedForMin = Math.max(0, load.wantedForMin - onTheWay);
    account.askedAtMs = account.wanted > 0 ? (account.askedAtMs ?? nowMs) : undefined;
    if (account.wanted === 0) account.told.short = undefined;
  }

  /** A place comes back that the worker does not need any more. @param wasOpen a connection had it, and is gone */
  returned(worker: number, name: LeasedPool, wasOpen: boolean, nowMs: number): void {
    const account = this.takeFrom(worker, name, wasOpen, nowMs);
    account.pool.add(-1);
    account.pool.server.tidy(account.pool);
  }

  /** A connection was lost, and its backend may still run: the place is free after freed(). */
  lost(worker: number, name: LeasedPool, nowMs: number): void {
    this.takeFrom(worker, name, true, nowMs).pool.lost++;
  }

  freed(name: LeasedPool): void {
    const server = this.change(name.server);
    const pool = server.pool(name);
    if (pool.lost <= 0) throw new Error(`a place of ${JSON.stringify(name)} is freed twice`);
    pool.lost--;
    pool.add(-1);
    server.tidy(pool);
  }

  /** The worker has died. Returns what it had; each place is free after freed(). */
  died(worker: number): { readonly pool: LeasedPool; readonly places: number }[] {
    const had: { pool: LeasedPool; places: number }[] = [];
    this.grants.delete(worker);
    this.sizes.forget(worker);
    for (const server of this.servers.values()) {
      for (const pool of [...server.pools.values()]) {
        const account = pool.accounts.get(worker);
        if (account === undefined) continue;
        this.change(pool.name.server);
        if (account.held > 0) had.push({ pool: pool.name, places: account.held });
        pool.lost += account.held;
        pool.accounts.delete(worker);
        this.sizes.shareMinimum(pool);
        server.tidy(pool);
      }
    }
    this.decisions = this.decisions.filter((decision) => decision.worker !== worker);
    return had;
  }

  /** Undefined: no worker uses the pool. */
  sizeOf(name: LeasedPool): LeaseSize | undefined {
    return this.servers.get(name.server)?.find(name)?.size;
  }

  /** Places that are not free, by limit: the pools, their databases (on the server), and the server. */
  taken(name: LeasedPool): { readonly pool: number; readonly database: number; readonly server: number } {
    const server = this.servers.get(name.server);
    const { own, database } = server?.find(name) ?? {};
    return { pool: own?.taken ?? 0, database: database?.taken ?? 0, server: server?.level.taken ?? 0 };
  }

  serverOf(address: string): ServerRecord | undefined {
    return this.servers.get(address);
  }

  placesOf(worker: number): number {
    let places = 0;
    for (const server of this.servers.values())
      for (const pool of server.pools.values()) places += pool.accounts.get(worker)?.held ?? 0;
    return places;
  }

  /* ---- what follows ---- */

  decide(nowMs: number): LeaseDecisions {
    for (const server of [...this.changed]) if (!this.decideServer(server, nowMs)) this.changed.delete(server);
    const { decisions } = this;
    this.decisions = [];
    return { decisions, againAtMs: this.changed.size > 0 ? nowMs + againAfterMs : undefined };
  }

  /** True: somebody waits for a place. */
  private decideServer(server: ServerRecord, nowMs: number): boolean {
    for (const pool of server.pools.values()) if (isShort(pool.accounts.values())) findTargets(pool, nowMs);
    const granted = this.grantFree(server, nowMs);
    new Recalls(server, nowMs).decide();
    // A worker must not close again what it is granted now: it hears of the end of a recall first.
    for (const account of server.accounts()) this.tellRecall(account);
    for (const [account, count] of granted) this.tellGrant(account, count);
    for (const account of server.accounts()) this.tellShortage(account);
    return isShort(server.accounts());
  }

  private grantFree(server: ServerRecord, nowMs: number): Map<Account, number> {
    const granted = new Map<Account, number>();
    for (;;) {
      const account = poorest(server, isServable) ?? poorest(server, isBelowMinimum);
      if (account === undefined) return granted;
      granted.set(account, (granted.get(account) ?? 0) + 1);
      if (account.held === 0) account.sinceMs = nowMs;
      account.held++;
      account.pool.add(1);
      account.wanted = Math.max(0, account.wanted - 1);
      account.wantedForMin = Math.max(0, account.wantedForMin - 1);
      if (account.wanted === 0) account.askedAtMs = undefined;
      account.told.short = undefined;
    }
  }

  private tellGrant(account: Account, count: number): void {
    const { worker, pool } = account;
    const grant = (this.grants.get(worker) ?? 0) + 1;
    this.grants.set(worker, grant);
    account.unheard.push([grant, count]);
    this.decisions.push({ kind: 'grant', worker, pool: pool.name, count });
  }

  private tellRecall({ worker, pool, kept, recalled, need, told }: Account): void {
    const keep = recalled > 0 ? kept - recalled : Infinity;
    const isNext = recalled > 0 && keep < need;
    if (keep === told.keep && isNext === told.isNext) return;
    told.keep = keep;
    told.isNext = isNext;
    this.decisions.push({ kind: 'recall', worker, pool: pool.name, keep, isNext });
  }

  private tellShortage({ worker, pool, wanted, told }: Account): void {
    const level = wanted > 0 ? pool.fullLevel?.name : undefined;
    if (level === undefined || level === told.short) return;
    told.short = level;
    this.decisions.push({ kind: 'short', worker, pool: pool.name, level });
  }

  /* ---- records ---- */

  private change(address: string): ServerRecord {
    let server = this.servers.get(address);
    if (server === undefined) this.servers.set(address, (server = new ServerRecord()));
    this.changed.add(server);
    return server;
  }

  private accountOf(worker: number, pool: PoolRecord): Account {
    let account = pool.accounts.get(worker);
    if (account === undefined) pool.accounts.set(worker, (account = new Account(worker, pool)));
    return account;
  }

  private find(worker: number, name: LeasedPool): Account | undefined {
    return this.servers.get(name.server)?.find(name)?.accounts.get(worker);
  }

  private takeFrom(worker: number, name: LeasedPool, wasOpen: boolean, nowMs: number): Account {
    const account = this.find(worker, name);
    if (account === undefined || account.held <= 0)
      throw new Error(`worker ${worker} returns a place of ${JSON.stringify(name)} that it does not have`);
    this.change(name.server);
    account.held--;
    if (account.held === 0) account.sinceMs = nowMs;
    account.recalled = Math.max(0, account.recalled - 1);
    if (wasOpen) account.closing = Math.max(0, account.closing - 1);
    return account;
  }
}

function isShort(accounts: Iterable<Account>): boolean {
  for (const { wanted } of accounts) if (wanted > 0) return true;
  return false;
}

function isServable({ wanted, kept, target, pool }: Account): boolean {
  return wanted > 0 && kept < target && pool.room > 0;
}

function isBelowMinimum({ wantedForMin, pool }: Account): boolean {
  return wantedForMin > 0 && pool.own.taken < pool.least && pool.room > 0;
}

/** Of those who may get a place, the one that has fewest; of several, the one that waits for longest. */
function poorest(server: ServerRecord, may: (account: Account) => boolean): Account | undefined {
  let found: Account | undefined;
  for (const account of server.accounts()) {
    if (!may(account)) continue;
    const { kept, waitingSinceMs } = account;
    const isLonger = found !== undefined && kept === found.kept && waitingSinceMs < found.waitingSinceMs;
    if (found === undefined || kept < found.kept || isLonger) found = account;
  }
  return found;
}
