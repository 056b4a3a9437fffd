/**
 * How many connections all pools of this process may have to one node: as many as the node can spare, which topology/ asks it;
 * and for one database no more of them than max_db_connections, for one user than max_user_connections. A pool that needs a
 * connection makes another pool close an idle one. Used by logins.ts; made by app/.
 */
import type {
  Budget,
  BudgetMember,
  Budgets,
  PlaceUser,
  PoolName,
  Reserved,
  ServerAddress,
  Shortage,
} from './budget-types.ts';
import { ExactPlaces } from './exact-places.ts';
import { starvedOf, takeTurn, turnMs } from './turns.ts';
import { PlacesOfUsers } from './user-places.ts';
import { serverKey } from '../util/server-key.ts';

/** What the budget of a node calls of whoever takes a place. */
type Yielding = Pick<BudgetMember, 'yieldIdle' | 'starvedMs'> & Partial<Pick<BudgetMember, 'user'>>;

/** What a Weir may have of the connections that several Weirs have together; it may change at any moment. */
export interface ShareOfNode {
  /** @param open what it has */
  limit(open: number): number;
  /** A pool needs a place, and there is none. */
  short(): void;
  /** Resolves when the backend is known to be gone, whose connection was lost. */
  whenGone(processId: number): Promise<void>;
}

export class NodeBudget implements Budget {
  /** Infinity until the node was asked. */
  limit = Infinity;
  /** Set where places are exact: a place is free when the backend has ended, not when its connection is being closed. */
  share: ShareOfNode | undefined;
  private taken = 0;
  /** Members are held to fewer connections than they use, until there are only so many in all. */
  private heldTo: number | undefined;
  private readonly members = new Set<BudgetMember>();
  private readonly ofNode: NodeBudget | undefined;
  /** Of the node. */
  private readonly places = new ExactPlaces(() => this.freed());
  /** Of the node. */
  private readonly users = new PlacesOfUsers();

  /** @param ofNode of the budget of one database: that of the whole node, in which each of its connections counts, too */
  constructor(ofNode?: NodeBudget) {
    this.ofNode = ofNode;
  }

  get used(): number {
    return this.taken;
  }

  shortage(pool?: PoolName): Exclude<Shortage, 'pool'> | undefined {
    if (this.room <= 0) return this.ofNode === undefined ? 'node' : 'database';
    if (this.users.find(pool?.user)?.isFull === true) return 'user';
    return this.ofNode?.shortage(pool);
  }

  limitUser(user: string, limit: number): void {
    (this.ofNode ?? this).users.setLimit(user, limit);
  }

  join(member: BudgetMember): void {
    this.members.add(member);
    if (this.ofNode === undefined) this.users.join(member);
    this.ofNode?.join(member);
  }

  leave(member: BudgetMember): void {
    this.members.delete(member);
    if (this.ofNode === undefined) this.users.leave(member);
    this.ofNode?.leave(member);
  }

  /** Takes a place for one connection, if need be that of an idle connection of another pool. False: there is none. */
  tryTake(forWhom: Yielding): boolean {
    const ofUser = this.users.find(forWhom.user);
    if (ofUser?.makeRoom(forWhom) === false) return false;
    if (!this.makeRoom(forWhom) || this.ofNode?.tryTake(forWhom) === false) return false;
    this.taken++;
    if (ofUser !== undefined) ofUser.taken++;
    return true;
  }

  private get room(): number {
    const { share, taken, limit } = this;
    return (share === undefined ? limit : Math.min(limit, share.limit(taken))) - taken;
  }

  private makeRoom(forWhom: Yielding): boolean {
    if (this.room > 0) return true;
    this.share?.short();
    // Connections that are being closed leave places in a moment.
    if (this.places.closing > 0) return false;
    for (const member of this.members) {
      if (member !== forWhom && member.yieldIdle() && this.room > 0) return true;
      if (this.places.closing > 0) return false;
    }
    if (forWhom.starvedMs >= turnMs) takeTurn(this.members);
    return false;
  }

  /** Before those that had it: whoever has waited longest without any. */
  private serveStarved(): void {
    const starved = starvedOf(this.members);
    for (const member of starved) if (this.room > 0) member.retry();
    if (starved.every(({ starvedMs }) => starvedMs === 0)) for (const member of this.members) member.keepNext();
  }

  /** A connection is closed, or its log-in has failed. */
  give(member: Pick<BudgetMember, 'user'>, server?: PlaceUser): void {
    if (this.ofNode !== undefined) {
      this.taken--;
      return this.ofNode.give(member, server);
    }
    this.users.give(member.user);
    if (server === undefined) this.freed();
    else this.places.give(server, this.share);
    this.users.retry(member.user);
  }

  private freed(): void {
    this.taken--;
    // Whoever was held to less may not be any more: else it would close at once what it opens in this place.
    if (this.heldTo !== undefined) this.closeAbove(this.heldTo);
    this.serveStarved();
    if (this.share !== undefined) this.retry();
  }

  /** Whoever waits for a place may look again. */
  retry(): void {
    for (const member of this.members) if (this.room > 0 && member.waiting > 0) member.retry();
  }

  reserve(_node: string, user: string, limit: number): Promise<Reserved | undefined> {
    const { users } = this.ofNode ?? this;
    users.enter(user, limit);
    const isTaken = this.tryTake({ yieldIdle: () => false, starvedMs: 0, user });
    if (!isTaken) users.tidy(user);
    return Promise.resolve(isTaken ? this.reserved(user) : undefined);
  }

  private reserved(user: string): Reserved {
    const { places, users } = this.ofNode ?? this;
    let pid: number | undefined;
    return {
      opened: (processId) => places.opened((pid = processId)),
      release: (isGone) => {
        const { share } = this.ofNode ?? this;
        if (this.ofNode !== undefined) this.taken--;
        users.give(user);
        if (pid === undefined) (this.ofNode ?? this).freed();
        else places.closed(pid, isGone, share);
        users.retry(user);
      },
    };
  }

  /* Members look at their limits themselves. */

  resized(): void {
    return undefined;
  }

  opened(_member: unknown, { processId }: PlaceUser): void {
    (this.ofNode ?? this).places.opened(processId);
  }

  vacated(member: Pick<BudgetMember, 'user'>, server: PlaceUser): Promise<boolean> | undefined {
    const { places, share, users } = this.ofNode ?? this;
    if (share === undefined) return void places.forget(server.processId);
    return places.vacated(server, share).then((isGone) => {
      if (isGone) return true;
      if (this.ofNode !== undefined) this.taken--;
      users.give(member.user);
      return false;
    });
  }

  /* ---- for the share of the node ---- */

  /** The backends of its connections. */
  pids(): readonly number[] {
    return this.places.pids();
  }

  /** What the members need, at most since the last call, and what they may have by their own limits. */
  demand(): { readonly need: number; readonly most: number } {
    let need = 0;
    let most = 0;
    for (const member of this.members) {
      need += Math.min(member.limit, Math.max(member.inUse, member.takePeakInUse()) + member.waiting);
      most += member.limit;
    }
    return { need, most };
  }

  /** Connections above the limit are closed: idle ones now, others when they come back. Infinity: none any more. */
  closeAbove(limit: number): void {
    const isOver = (): boolean => this.taken - this.places.closing > limit;
    for (const member of this.members) while (isOver() && member.closeIdle());
    let over = Math.max(0, this.taken - this.places.closing - limit);
    const keep = new Map(Array.from(this.members, (member) => [member, member.inUse]));
    for (; over > 0; over--) {
      const [largest] = [...keep].sort(([, a], [, b]) => b - a);
      if (largest === undefined || largest[1] === 0) break;
      keep.set(largest[0], largest[1] - 1);
    }
    this.heldTo = undefined;
    for (const [member, count] of keep) {
      const isHeld = count < member.inUse;
      member.keepAtMost(isHeld ? count : Infinity);
      if (isHeld) this.heldTo = limit;
    }
  }
}

/** The budgets of a Weir that is one process. */
export class NodeBudgets implements Budgets {
  private readonly servers = new Map<string, NodeBudget>();

  ofServer(address: ServerAddress): NodeBudget {
    const key = serverKey(address);
    let budget = this.servers.get(key);
    if (budget === undefined) this.servers.set(key, (budget = new NodeBudget()));
    return budget;
  }

  ofDatabase(address: ServerAddress): NodeBudget {
    return new NodeBudget(this.ofServer(address));
  }
}
