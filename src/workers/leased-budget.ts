/**
 * The budget of one database on one server in a worker: its places are leased from the supervisor. A place goes back when the
 * server has closed the connection, since only then its backend has ended. Made by leased-places.ts, used by the pools.
 */
import type { Budget, BudgetMember, PlaceUser, PoolName, Reserved, Shortage } from '../pool/budget-types.ts';
import { whenClosed } from '../pool/exact-places.ts';
import type { LeasedPool } from '../sizing/lease-types.ts';
import type { LeaseAccount } from './lease-account.ts';
import type { SupervisorChannel } from './messages.ts';
import { Reservation } from './reservation.ts';

/** How long a replication connection waits for a place that an idle connection leaves, once it is known that there is no other. */
const reserveMs = 1_000;
/** The same, while the supervisor has not said why there is none. */
const answerMs = 10_000;

/** All places of the worker (leased-places.ts). */
export interface PlacesOfWorker {
  find(pool: LeasedPool): LeaseAccount | undefined;
  account(pool: LeasedPool): LeaseAccount;
  accountsOf(server: string, database: string): Iterable<LeaseAccount>;
  nextReserved(): number;
  /** Decisions of the supervisor about sizes that this worker has heard of. */
  readonly sizesHeard: number;
  want(account: LeaseAccount): void;
  giveBack(account: LeaseAccount, place: number | undefined, isGone: boolean): void;
  tidy(account: LeaseAccount): void;
}

export class LeasedBudget implements Budget {
  private readonly server: string;
  private readonly database: string;
  private readonly places: PlacesOfWorker;
  private readonly channel: SupervisorChannel;
  private maxDbConnections = Infinity;
  /** max_user_connections, of the users that have one. */
  private readonly userLimits = new Map<string, number>();
  /** Of pools that may open connections: looked for whenever a client waits. */
  private readonly joined = new Map<BudgetMember, LeaseAccount>();

  constructor(server: string, database: string, places: PlacesOfWorker, channel: SupervisorChannel) {
    this.server = server;
    this.database = database;
    this.places = places;
    this.channel = channel;
  }

  get limit(): number {
    return this.maxDbConnections;
  }

  set limit(limit: number) {
    if (limit === this.maxDbConnections) return;
    this.maxDbConnections = limit;
    const [known] = this.places.accountsOf(this.server, this.database);
    if (known !== undefined) this.tellLimit();
  }

  limitUser(user: string, limit: number): void {
    if (limit === (this.userLimits.get(user) ?? Infinity)) return;
    if (limit === Infinity) this.userLimits.delete(user);
    else this.userLimits.set(user, limit);
    for (const { user: joined } of this.joined.keys()) if (joined === user) return this.tellUserLimit(user);
  }

  get used(): number {
    let used = 0;
    for (const { places } of this.places.accountsOf(this.server, this.database)) used += places;
    return used;
  }

  shortage({ user, node }: PoolName): Shortage | undefined {
    return this.places.find(this.leased(user, node))?.shortage;
  }

  join(member: BudgetMember): void {
    this.joinAccount(this.accountOf(member), member);
  }

  leave(member: BudgetMember): void {
    const account = this.accountOf(member);
    account.leaving.add(member);
    this.leaveAccount(account, member);
    this.places.tidy(account);
  }

  private joinAccount(account: LeaseAccount, member: BudgetMember): void {
    const { limit, min } = member;
    if (account.members.size === 0) {
      // The supervisor forgets it when a database has no pool any more.
      if (this.limit !== Infinity) this.tellLimit();
      if (this.userLimits.has(member.user)) this.tellUserLimit(member.user);
      account.size = { limit, min };
      // When it left, the supervisor forgot what it wanted.
      account.forgetTold();
      this.channel.tell('leaseJoin', { pool: account.pool, size: account.size });
    }
    account.members.add(member);
    this.joined.set(member, account);
    account.instruct(member);
  }

  private leaveAccount(account: LeaseAccount, member: BudgetMember): void {
    account.members.delete(member);
    this.joined.delete(member);
    if (account.members.size === 0) this.channel.tell('leaseLeave', account.pool);
  }

  resized(member: BudgetMember): void {
    const account = this.accountOf(member);
    const { limit, min, lastResize: resize } = member;
    if (account.size?.limit === limit && account.size.min === min) return;
    account.size = { limit, min };
    const { sizesHeard: heard } = this.places;
    this.channel.tell('leaseSize', { pool: account.pool, size: account.size, resize, heard });
  }

  tryTake(forWhom: BudgetMember): boolean {
    return this.takeFrom(this.accountOf(forWhom));
  }

  opened(member: BudgetMember, server: PlaceUser): void {
    const account = this.accountOf(member);
    account.loggingIn--;
    account.open++;
    this.channel.tell('leaseOpened', { pool: account.pool, place: server.id, processId: server.processId });
  }

  give(member: BudgetMember, server?: PlaceUser): void {
    const account = this.accountOf(member);
    if (server === undefined) {
      account.loggingIn--;
      return this.places.giveBack(account, undefined, true);
    }
    account.open--;
    account.closing++;
    whenClosed(server.wire.socket, (isGone) => {
      account.closing--;
      this.places.giveBack(account, server.id, isGone);
    });
  }

  vacated(member: BudgetMember, server: PlaceUser): Promise<boolean> {
    const account = this.accountOf(member);
    account.open--;
    account.loggingIn++;
    return new Promise((resolve) => {
      whenClosed(server.wire.socket, (isGone) => {
        if (isGone) {
          this.channel.tell('leaseVacated', { pool: account.pool, place: server.id });
        } else {
          account.loggingIn--;
          this.places.giveBack(account, server.id, false);
        }
        resolve(isGone);
      });
    });
  }

  reserve(node: string, user: string, limit: number): Promise<Reserved | undefined> {
    this.limitUser(user, limit);
    const account = this.places.account({ ...this.leased(undefined, node), countsFor: user });
    return new Promise((resolve) => {
      const member = new Reservation({
        name: { database: this.database, user, node },
        tryTake: () => this.takeFrom(account),
        reserved: () => resolve(this.reserved(account, member)),
      });
      this.joinAccount(account, member);
      member.retry();
      const startedAtMs = performance.now();
      const giveUp = (): void => {
        const isAnswered = account.shortage !== undefined || performance.now() - startedAtMs >= answerMs;
        if (!isAnswered) return void setTimeout(giveUp, reserveMs).unref();
        if (!member.giveUp()) return;
        this.leaveAccount(account, member);
        this.places.tidy(account);
        resolve(undefined);
      };
      setTimeout(giveUp, reserveMs).unref();
    });
  }

  private reserved(account: LeaseAccount, member: Reservation): Reserved {
    let place: number | undefined;
    return {
      opened: (processId) => {
        place = this.places.nextReserved();
        account.loggingIn--;
        account.open++;
        this.channel.tell('leaseOpened', { pool: account.pool, place, processId });
      },
      release: (isGone) => {
        if (!member.release()) return;
        if (place === undefined) account.loggingIn--;
        else account.open--;
        this.leaveAccount(account, member);
        this.places.giveBack(account, place, isGone);
      },
    };
  }

  private leased(user: string | undefined, node: string): LeasedPool {
    return { database: this.database, user, node, server: this.server };
  }

  private accountOf(member: BudgetMember): LeaseAccount {
    return this.joined.get(member) ?? this.places.account(this.leased(member.user, member.node));
  }

  private takeFrom(account: LeaseAccount): boolean {
    if (account.spare === 0) {
      this.places.want(account);
      return false;
    }
    account.spare--;
    account.loggingIn++;
    return true;
  }

  private tellLimit(): void {
    const { server, database } = this;
    this.channel.tell('leaseLimit', { server, database, limit: this.maxDbConnections });
  }

  private tellUserLimit(user: string): void {
    const limit = this.userLimits.get(user) ?? Infinity;
    this.channel.tell('leaseLimit', { server: this.server, database: undefined, user, limit });
  }
}
