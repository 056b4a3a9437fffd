/**
 * All places for server connections that this worker has leased from the supervisor: asks for them when pools want some, hands
 * them on, and returns those that nobody needs. The other end is lessor.ts. Pools see it as budgets (leased-budget.ts).
 */
import type { Budgets, ServerAddress } from '../pool/budget-types.ts';
import { leaseKey, type LeaseDecision, type LeasedPool, type LeaseSize } from '../sizing/lease-types.ts';
import type { ResizeRecord } from '../pool/types.ts';
import type { SupervisorChannel } from './messages.ts';
import { LeaseAccount } from './lease-account.ts';
import { LeasedBudget, type PlacesOfWorker } from './leased-budget.ts';
import { serverKey } from '../util/server-key.ts';

/** How often the supervisor is told of changed loads. */
const reportMs = 20;

export interface LeasedPlacesOptions {
  readonly channel: SupervisorChannel;
  /** The supervisor has changed the size of a pool, or knows a newer one: to be set in the pool of that name. */
  onSize(pool: LeasedPool, size: LeaseSize, resize: ResizeRecord | undefined): void;
}

export class LeasedPlaces implements Budgets, PlacesOfWorker {
  private readonly options: LeasedPlacesOptions;
  private readonly accounts = new Map<string, LeaseAccount>();
  private readonly servers = new Map<string, ServerLimit>();
  /** Grants received. */
  private heard = 0;
  sizesHeard = 0;
  private lastReserved = 0;
  private timer: NodeJS.Timeout | undefined;

  constructor(options: LeasedPlacesOptions) {
    this.options = options;
    options.channel.on('leases', (decisions) => {
      for (const decision of decisions) this.obey(decision);
      return undefined;
    });
    options.channel.onClosed(() => this.stop());
  }

  ofServer(address: ServerAddress): ServerLimit {
    const server = serverKey(address);
    let limit = this.servers.get(server);
    if (limit === undefined) {
      limit = new ServerLimit(server, this.options.channel, () => this.usedAt(server));
      this.servers.set(server, limit);
    }
    return limit;
  }

  private usedAt(server: string): number {
    let used = 0;
    for (const { pool, places } of this.accounts.values()) if (pool.server === server) used += places;
    return used;
  }

  ofDatabase(address: ServerAddress, database: string): LeasedBudget {
    return new LeasedBudget(serverKey(address), database, this, this.options.channel);
  }

  stop(): void {
    clearInterval(this.timer);
    this.timer = undefined;
  }

  /* ---- for the budgets ---- */

  find(pool: LeasedPool): LeaseAccount | undefined {
    return this.accounts.get(leaseKey(pool));
  }

  account(pool: LeasedPool): LeaseAccount {
    const key = leaseKey(pool);
    let account = this.accounts.get(key);
    if (account === undefined) this.accounts.set(key, (account = new LeaseAccount(pool)));
    return account;
  }

  *accountsOf(server: string, database: string): Iterable<LeaseAccount> {
    for (const account of this.accounts.values())
      if (account.pool.server === server && account.pool.database === database) yield account;
  }

  /** A number for the place of a connection that is in no pool. */
  nextReserved(): number {
    return ++this.lastReserved;
  }

  /** Somebody wants a place and has not got one. The supervisor is told once, then again only of changes. */
  want(account: LeaseAccount): void {
    this.startReports();
    if (!account.isAsking) this.report([account], false);
  }

  /** @param place undefined: no connection was opened */
  giveBack(account: LeaseAccount, place: number | undefined, isGone: boolean): void {
    this.options.channel.tell('leaseReturned', { pool: account.pool, place, isGone });
    this.tidy(account);
  }

  tidy(account: LeaseAccount): void {
    if (account.isUnused) this.accounts.delete(leaseKey(account.pool));
  }

  /* ---- from the supervisor ---- */

  private obey(decision: LeaseDecision): void {
    const account = this.find(decision.pool);
    if (decision.kind === 'size') this.sizesHeard++;
    if (decision.kind === 'grant') return this.granted(decision.pool, account, decision.count);
    if (account === undefined) return;
    switch (decision.kind) {
      case 'recall':
        account.recall.keep = decision.keep;
        account.recall.isNext = decision.isNext;
        for (const member of account.members) account.instruct(member);
        if (!account.obeyRecall()) this.report([account], false);
        return;
      case 'floor':
        account.floor = decision.count;
        for (const member of account.members) account.instruct(member);
        return;
      case 'short':
        account.shortage = decision.level;
        return;
      case 'size':
        account.size = decision.size;
        this.options.onSize(decision.pool, decision.size, decision.resize);
    }
  }

  private granted(pool: LeasedPool, known: LeaseAccount | undefined, count: number): void {
    this.heard++;
    const account = known ?? new LeaseAccount(pool);
    this.startReports();
    account.spare += count;
    account.shortage = undefined;
    account.forgetTold();
    for (const member of account.members) member.retry();
    // Those who waited have been served otherwise, or have left.
    while (account.spare > 0) {
      account.spare--;
      this.giveBack(account, undefined, true);
    }
  }

  /* ---- to the supervisor ---- */

  private startReports(): void {
    this.timer ??= setInterval(() => this.tick(), reportMs).unref();
  }

  private tick(): void {
    let isQuiet = true;
    for (const account of this.accounts.values()) {
      account.obeyRecall();
    }
    this.report(this.accounts.values(), true);
    for (const account of this.accounts.values()) if (!account.isQuiet) isQuiet = false;
    if (isQuiet) this.stop();
  }

  private report(accounts: Iterable<LeaseAccount>, isSampled: boolean): void {
    const loads = [];
    for (const account of accounts) {
      const load = account.news(isSampled);
      if (load !== undefined) loads.push({ pool: account.pool, load });
    }
    if (loads.length > 0) this.options.channel.tell('leaseLoads', { heard: this.heard, loads });
  }
}

/** What a server can spare, as this worker has learned it. */
class ServerLimit {
  private readonly server: string;
  private readonly channel: SupervisorChannel;
  private readonly countUsed: () => number;
  private known = Infinity;

  constructor(server: string, channel: SupervisorChannel, countUsed: () => number) {
    this.server = server;
    this.channel = channel;
    this.countUsed = countUsed;
  }

  get used(): number {
    return this.countUsed();
  }

  get limit(): number {
    return this.known;
  }

  set limit(limit: number) {
    if (limit === this.known) return;
    this.known = limit;
    this.channel.tell('leaseLimit', { server: this.server, database: undefined, limit });
  }
}
